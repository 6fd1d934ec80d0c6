//! The query index in tables beside the log's. It is filled by the instance that writes; a step of another one does no harm.

use async_trait::async_trait;
use harombe_sql::Postgres;
use sqlx::{PgConnection, Row as _};

use crate::Error;
use crate::domain::{Filter, Leaf};
use crate::store::index::{Progress, STEP, indexed, search};
use crate::store::port::{Index, Reader};
use crate::store::row_id;

/// Takes entries in and moves the cursor, unless another instance has moved it meanwhile. What was left of another history
/// is overwritten.
const STEP_UP: &str = "
WITH moved AS (
    INSERT INTO progress (next, hash) VALUES ($1, $2)
    ON CONFLICT (one) DO UPDATE SET next = excluded.next, hash = excluded.hash WHERE progress.next = $3
    RETURNING 1
)
INSERT INTO indexed (idx, tenant, kind, service, run, session, call, time)
SELECT added.* FROM moved,
    unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[]) AS added
ON CONFLICT (idx) DO UPDATE SET tenant = excluded.tenant, kind = excluded.kind, service = excluded.service,
    run = excluded.run, session = excluded.session, call = excluded.call, time = excluded.time";

/// Empties the index, unless another instance has done so or gone on meanwhile.
const CLEAR: &str = "
WITH reset AS (
    UPDATE progress SET next = 0, hash = NULL WHERE next = $1 AND hash IS NOT DISTINCT FROM $2 RETURNING 1
)
DELETE FROM indexed WHERE EXISTS (SELECT FROM reset)";

/// Which entries match a query, as far as the index has come.
pub(crate) struct PostgresIndex {
    database: Postgres,
}

/// The columns of entries that are taken in together.
#[derive(Default, Clone)]
struct Columns {
    indexes: Vec<i64>,
    tenants: Vec<String>,
    kinds: Vec<String>,
    services: Vec<String>,
    runs: Vec<String>,
    sessions: Vec<String>,
    calls: Vec<String>,
    times: Vec<i64>,
}

impl Columns {
    fn push(&mut self, (index, time, leaf): (i64, i64, Leaf)) {
        self.indexes.push(index);
        self.tenants.push(leaf.tenant);
        self.kinds.push(leaf.kind);
        self.services.push(leaf.service);
        self.runs.push(leaf.run);
        self.sessions.push(leaf.session);
        self.calls.push(leaf.call);
        self.times.push(time);
    }
}

impl PostgresIndex {
    pub(crate) fn new(database: Postgres) -> Self {
        Self { database }
    }

    async fn progress(&self) -> Result<Progress, Error> {
        let read = self
            .database
            .idempotent(|db| Box::pin(async move { Ok(progress(db).await?) }));
        Ok(read.await?)
    }

    async fn clear(&self, seen: Progress) -> Result<(), Error> {
        let cleared = self.database.idempotent(move |db| {
            let Progress { next, hash } = seen.clone();
            Box::pin(async move {
                sqlx::query(CLEAR)
                    .bind(row_id(next))
                    .bind(hash)
                    .execute(db)
                    .await?;
                Ok(())
            })
        });
        Ok(cleared.await?)
    }
}

#[async_trait]
impl Index for PostgresIndex {
    async fn step(&self, log: &dyn Reader) -> Result<bool, Error> {
        let progress = self.progress().await?;
        if !progress.belongs_to(log).await? {
            tracing::warn!("the query index belongs to another log and is built anew");
            self.clear(progress).await?;
            return Ok(true);
        }
        let from = progress.next;
        let rows = log.entries(from, STEP).await?;
        let Some(last) = rows.last() else { return Ok(false) };
        let (next, hash) = (row_id(last.index + 1), last.hash.clone());
        let mut columns = Columns::default();
        for row in &rows {
            columns.push(indexed(row)?);
        }
        let taken_in = self.database.idempotent(move |db| {
            let (columns, hash) = (columns.clone(), hash.clone());
            Box::pin(async move {
                sqlx::query(STEP_UP)
                    .bind(next)
                    .bind(hash)
                    .bind(row_id(from))
                    .bind(columns.indexes)
                    .bind(columns.tenants)
                    .bind(columns.kinds)
                    .bind(columns.services)
                    .bind(columns.runs)
                    .bind(columns.sessions)
                    .bind(columns.calls)
                    .bind(columns.times)
                    .execute(db)
                    .await?;
                Ok(())
            })
        });
        taken_in.await?;
        Ok(true)
    }

    async fn find(
        &self,
        log: &dyn Reader,
        filter: &Filter,
        from: u64,
        limit: u32,
    ) -> Result<(Vec<u64>, u64), Error> {
        // Read first: the index may grow meanwhile, and what is answered must not be more than what is promised.
        let reach = self.reach(log).await?;
        let filter = filter.clone();
        let found = self.database.idempotent(move |db| {
            let mut query = search::<sqlx::Postgres>(&filter, from, reach, limit);
            Box::pin(async move { Ok(query.build_query_scalar::<i64>().fetch_all(db).await?) })
        });
        let found = found.await?;
        Ok((found.into_iter().map(i64::unsigned_abs).collect(), reach))
    }

    async fn reach(&self, log: &dyn Reader) -> Result<u64, Error> {
        self.progress().await?.reach(log).await
    }

    /// The database is the store's, which closes it.
    async fn close(&self) {}
}

/// A table without its row, as a restore may leave it, says that nothing is indexed.
async fn progress(db: &mut PgConnection) -> Result<Progress, sqlx::Error> {
    let row = sqlx::query("SELECT next, hash FROM progress")
        .fetch_optional(db)
        .await?;
    let Some(row) = row else {
        return Ok(Progress { next: 0, hash: None });
    };
    let next: i64 = row.try_get(0)?;
    Ok(Progress {
        next: next.unsigned_abs(),
        hash: row.try_get(1)?,
    })
}

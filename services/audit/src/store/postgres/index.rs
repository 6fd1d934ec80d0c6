//! The query index in tables beside the log's. It is filled by the instance that writes; a step of another one does no harm.

use async_trait::async_trait;
use harombe_sql::Postgres;
use sqlx::{PgConnection, Row as _};

use crate::Error;
use crate::domain::{Filter, Leaf};
use crate::store::index::{Progress, STEP, indexed, search};
use crate::store::port::{Index, Reader};
use crate::store::row_id;

/// Takes entries in and moves the cursor, unless another instance has moved it meanwhile.
const STEP_UP: &str = "
WITH moved AS (
    UPDATE progress SET next = $1, hash = $2 WHERE next = $3 RETURNING 1
)
INSERT INTO indexed (idx, tenant, kind, service, run, session, call, time)
SELECT added.* FROM moved,
    unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[]) AS added";

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
    /// The index of `log`; one that is of another history is emptied.
    pub(crate) async fn open(database: Postgres, log: &dyn Reader) -> Result<Self, Error> {
        let index = Self { database };
        if !index.progress().await?.belongs_to(log).await? {
            tracing::warn!("the query index belongs to another log and is built anew");
            index.clear().await?;
        }
        Ok(index)
    }

    async fn progress(&self) -> Result<Progress, Error> {
        let read = self
            .database
            .idempotent(|db| Box::pin(async move { Ok(progress(db).await?) }));
        Ok(read.await?)
    }

    async fn clear(&self) -> Result<(), Error> {
        let clear = "WITH emptied AS (DELETE FROM indexed) UPDATE progress SET next = 0, hash = NULL";
        let cleared = self.database.idempotent(|db| {
            Box::pin(async move {
                sqlx::query(clear).execute(db).await?;
                Ok(())
            })
        });
        Ok(cleared.await?)
    }
}

#[async_trait]
impl Index for PostgresIndex {
    async fn step(&self, log: &dyn Reader) -> Result<bool, Error> {
        let from = self.progress().await?.next;
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

    async fn find(&self, filter: &Filter, from: u64, limit: u32) -> Result<(Vec<u64>, u64), Error> {
        // Read first: the index may grow meanwhile, and what is answered must not be more than what is promised.
        let reach = self.progress().await?.next;
        let filter = filter.clone();
        let found = self.database.idempotent(move |db| {
            let mut query = search::<sqlx::Postgres>(&filter, from, reach, limit);
            Box::pin(async move { Ok(query.build_query_scalar::<i64>().fetch_all(db).await?) })
        });
        let found = found.await?;
        Ok((found.into_iter().map(i64::unsigned_abs).collect(), reach))
    }

    /// The database is the store's, which closes it.
    async fn close(&self) {}
}

async fn progress(db: &mut PgConnection) -> Result<Progress, sqlx::Error> {
    let row = sqlx::query("SELECT next, hash FROM progress")
        .fetch_one(db)
        .await?;
    let next: i64 = row.try_get(0)?;
    Ok(Progress {
        next: next.unsigned_abs(),
        hash: row.try_get(1)?,
    })
}

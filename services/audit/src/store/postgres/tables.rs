//! The writer's statements. One of them writes a whole group, so that a commit is one round trip and cannot be half.

use async_trait::async_trait;
use harombe_sql::{Error as SqlError, Postgres};
use sqlx::{PgConnection, Row as _};

use crate::domain::{Draft, Leaf};
use crate::store::group::Known;
use crate::store::ledger::{Addition, Outcome, Target};
use crate::store::{Snapshot, row_id};

/// Writes nothing unless the newest checkpoint is over `$1` entries.
const ADD: &str = "
WITH base AS MATERIALIZED (
    SELECT 1 WHERE (SELECT coalesce(max(size), 0) FROM checkpoints) = $1
), entry AS (
    INSERT INTO entries (idx, event_id, hash, body, details)
    SELECT added.* FROM base, unnest($2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[]) AS added
), tile AS (
    INSERT INTO tiles (level, idx, hashes)
    SELECT added.* FROM base, unnest($7::bigint[], $8::bigint[], $9::bytea[]) AS added
), tenant AS (
    INSERT INTO tenants (tenant, seq)
    SELECT added.* FROM base, unnest($10::text[], $11::bigint[]) AS added
    ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq
)
INSERT INTO checkpoints (size, note) SELECT $12, $13 FROM base";

/// The rule that a repeated event breaks; every other one says that somebody else wrote.
const ONE_EVENT_ONCE: &str = "entries_by_event";

/// The log's tables over the connection that holds the writer's lock.
pub(super) struct Tables<'a> {
    pub(super) database: &'a Postgres,
    pub(super) session: &'a mut PgConnection,
}

#[async_trait]
impl Target for Tables<'_> {
    async fn add(&mut self, addition: Addition) -> Result<Outcome, SqlError> {
        let Addition {
            base,
            rows,
            tiles,
            tenants,
            head,
        } = addition;
        let count = rows.len();
        let (mut indexes, mut ids) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut hashes, mut bodies) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut sealed = Vec::with_capacity(count);
        for row in rows {
            indexes.push(row.index);
            ids.push(row.id.to_vec());
            hashes.push(row.hash.to_vec());
            bodies.push(row.body);
            sealed.push(row.sealed);
        }
        let levels: Vec<i64> = tiles.iter().map(|tile| i64::from(tile.id().level)).collect();
        let places: Vec<i64> = tiles.iter().map(|tile| row_id(tile.id().index)).collect();
        let contents: Vec<Vec<u8>> = tiles.iter().map(harombe_tlog::Tile::to_bytes).collect();
        let (names, numbers): (Vec<String>, Vec<i64>) = tenants
            .into_iter()
            .map(|(tenant, seq)| (tenant, row_id(seq)))
            .unzip();
        let added = sqlx::query(ADD)
            .bind(row_id(base))
            .bind(indexes)
            .bind(ids)
            .bind(hashes)
            .bind(bodies)
            .bind(sealed)
            .bind(levels)
            .bind(places)
            .bind(contents)
            .bind(names)
            .bind(numbers)
            .bind(row_id(head.size()))
            .bind(head.note().to_owned())
            .execute(&mut *self.session)
            .await;
        match added {
            Ok(added) if added.rows_affected() == 1 => Ok(Outcome::Written),
            Ok(_) => Ok(Outcome::Moved),
            Err(error) => match broken_rule(&error) {
                Some(ONE_EVENT_ONCE) => Ok(Outcome::Repeated),
                Some(_) => Ok(Outcome::Moved),
                None => Err(self.database.error(error)),
            },
        }
    }

    async fn known(&mut self, drafts: &[Vec<Draft>]) -> Result<Known, SqlError> {
        let ids: Vec<Vec<u8>> = drafts.iter().flatten().map(|draft| draft.id.to_vec()).collect();
        let rows = sqlx::query("SELECT event_id, idx, body FROM entries WHERE event_id = ANY($1)")
            .bind(ids)
            .fetch_all(&mut *self.session)
            .await
            .map_err(|error| self.database.error(error))?;
        let mut known = Known::with_capacity(rows.len());
        for row in rows {
            let id: Vec<u8> = row.try_get(0)?;
            let index: i64 = row.try_get(1)?;
            let body: Vec<u8> = row.try_get(2)?;
            let id = id.as_slice().try_into().map_err(SqlError::handler)?;
            let leaf = Leaf::decode(&body).map_err(SqlError::handler)?;
            known.insert(id, (index.unsigned_abs(), leaf));
        }
        Ok(known)
    }

    fn rows(&mut self) -> &mut dyn Snapshot {
        self.session
    }
}

/// The unique rule that refused a row.
fn broken_rule(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    error
        .is_unique_violation()
        .then(|| error.constraint().unwrap_or_default())
}

//! The writer's side: a whole group of appends in one transaction, under one signed checkpoint.

use async_trait::async_trait;
use harombe_sql::{BulkInsert, Connection, Error as SqlError, Handler};
use sqlx::Row as _;

use crate::domain::{Draft, Leaf};
use crate::store::group::{Known, NewRow};
use crate::store::ledger::{Addition, Ledger, Outcome, Reply, Target};
use crate::store::{self, Lane, Snapshot, row_id};

/// Writes groups of appends as the group-commit writer hands them over.
pub(super) struct Appender {
    ledger: Ledger,
    entries: BulkInsert,
}

impl Appender {
    pub(super) fn new(ledger: Ledger) -> Self {
        let entries = BulkInsert::new("INSERT INTO entries (idx, event_id, hash, body, details)", 5);
        Self { ledger, entries }
    }
}

impl Handler for Appender {
    type Job = Vec<Draft>;
    type Reply = Reply;
    type Key = Lane;

    fn party(lane: &Lane) -> u64 {
        store::party(lane)
    }

    fn weight(drafts: &Vec<Draft>) -> usize {
        store::weight(drafts)
    }

    async fn apply(&mut self, tx: &mut Connection, jobs: Vec<Vec<Draft>>) -> Result<Vec<Reply>, SqlError> {
        let mut tables = Tables {
            tx,
            entries: &self.entries,
        };
        self.ledger.append(&mut tables, &jobs).await
    }

    fn committed(&mut self) {
        self.ledger.committed();
    }

    fn rolled_back(&mut self) {
        self.ledger.rolled_back();
    }
}

/// The tables inside the open transaction, which holds the write lock of the file.
struct Tables<'a> {
    tx: &'a mut Connection,
    entries: &'a BulkInsert,
}

impl Tables<'_> {
    async fn insert(&mut self, rows: Vec<NewRow>) -> Result<(), SqlError> {
        self.entries
            .insert(self.tx, rows, |query, row| {
                query
                    .bind(row.index)
                    .bind(row.id.to_vec())
                    .bind(row.hash.to_vec())
                    .bind(row.body)
                    .bind(row.sealed)
            })
            .await
    }
}

#[async_trait]
impl Target for Tables<'_> {
    async fn add(&mut self, addition: Addition) -> Result<Outcome, SqlError> {
        if self.tx.size().await? != addition.base {
            return Ok(Outcome::Moved);
        }
        match self.insert(addition.rows).await {
            Ok(()) => {}
            Err(error) if error.is_unique_violation() => {
                sqlx::query("DELETE FROM entries WHERE idx >= ?")
                    .bind(row_id(addition.base))
                    .execute(&mut *self.tx)
                    .await?;
                return Ok(Outcome::Repeated);
            }
            Err(error) => return Err(error),
        }
        for tile in &addition.tiles {
            sqlx::query("INSERT INTO tiles (level, idx, hashes) VALUES (?, ?, ?)")
                .bind(i64::from(tile.id().level))
                .bind(row_id(tile.id().index))
                .bind(tile.to_bytes())
                .execute(&mut *self.tx)
                .await?;
        }
        for (tenant, seq) in addition.tenants {
            sqlx::query("INSERT INTO tenants (tenant, seq) VALUES (?, ?) ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq")
                .bind(tenant)
                .bind(row_id(seq))
                .execute(&mut *self.tx)
                .await?;
        }
        sqlx::query("INSERT INTO checkpoints (size, note) VALUES (?, ?)")
            .bind(row_id(addition.head.size()))
            .bind(addition.head.note().to_owned())
            .execute(&mut *self.tx)
            .await?;
        Ok(Outcome::Written)
    }

    async fn known(&mut self, drafts: &[Vec<Draft>]) -> Result<Known, SqlError> {
        let mut known = Known::new();
        for draft in drafts.iter().flatten() {
            let found = sqlx::query("SELECT idx, body FROM entries WHERE event_id = ?")
                .bind(draft.id.to_vec())
                .fetch_optional(&mut *self.tx)
                .await?;
            if let Some(row) = found {
                let index: i64 = row.try_get(0)?;
                let body: Vec<u8> = row.try_get(1)?;
                let leaf = Leaf::decode(&body).map_err(SqlError::handler)?;
                known.insert(draft.id, (index.unsigned_abs(), leaf));
            }
        }
        Ok(known)
    }

    fn rows(&mut self) -> &mut dyn Snapshot {
        self.tx
    }
}

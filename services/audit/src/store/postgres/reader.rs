//! Reading the log's tables, on any instance.

use async_trait::async_trait;
use harombe_sql::Postgres;
use harombe_tlog::{Tile, TileId};
use sqlx::Transaction;

use crate::Error;
use crate::store::port::{Reader, Row};
use crate::store::snapshot::Snapshot as _;

/// The read side of the log.
#[derive(Debug, Clone)]
pub(crate) struct PostgresReader {
    database: Postgres,
}

impl PostgresReader {
    pub(super) fn new(database: Postgres) -> Self {
        Self { database }
    }

    /// A transaction that sees the log as of one moment and can change nothing.
    pub(crate) async fn snapshot(&self) -> Result<Transaction<'static, sqlx::Postgres>, Error> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let begun = self.database.pool().begin_with(begin).await;
        Ok(begun.map_err(|error| self.database.error(error))?)
    }
}

#[async_trait]
impl Reader for PostgresReader {
    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Row>, Error> {
        let read = self
            .database
            .idempotent(move |db| Box::pin(async move { Ok(db.entries(from, limit).await?) }));
        Ok(read.await?)
    }

    async fn checkpoint(&self, size: u64) -> Result<Option<String>, Error> {
        let read = self
            .database
            .idempotent(move |db| Box::pin(async move { Ok(db.checkpoint(size).await?) }));
        Ok(read.await?)
    }

    async fn tile(&self, id: TileId) -> Result<Option<Tile>, Error> {
        let read = self
            .database
            .idempotent(move |db| Box::pin(async move { Ok(db.tile(id).await?) }));
        let hashes = read.await?;
        Ok(hashes.map(|bytes| Tile::from_bytes(id, &bytes)).transpose()?)
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

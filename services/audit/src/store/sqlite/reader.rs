//! Reading the log file, in use or not.

use std::path::Path;

use async_trait::async_trait;
use harombe_sql::Database;
use harombe_tlog::{Tile, TileId};
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;

use crate::Error;
use crate::store::port::{Reader, Row};
use crate::store::snapshot::Snapshot as _;

/// The read side of the log file. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SqliteReader {
    database: Database,
}

impl SqliteReader {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Writes a compact copy of the file, as of one moment, to a path where there is none.
    pub(crate) async fn copy_to(&self, target: &Path) -> Result<(), Error> {
        sqlx::query("VACUUM INTO ?")
            .bind(target.to_string_lossy().into_owned())
            .execute(self.database.readers())
            .await
            .map_err(|error| self.failed(error))?;
        Ok(())
    }

    async fn connection(&self) -> Result<PoolConnection<Sqlite>, Error> {
        let acquired = self.database.readers().acquire().await;
        acquired.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: sqlx::Error) -> Error {
        self.database.error(error).into()
    }
}

#[async_trait]
impl Reader for SqliteReader {
    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Row>, Error> {
        let rows = self.connection().await?.entries(from, limit).await;
        rows.map_err(|error| self.failed(error))
    }

    async fn checkpoint(&self, size: u64) -> Result<Option<String>, Error> {
        let note = self.connection().await?.checkpoint(size).await;
        note.map_err(|error| self.failed(error))
    }

    async fn tile(&self, id: TileId) -> Result<Option<Tile>, Error> {
        let hashes = self.connection().await?.tile(id).await;
        let hashes = hashes.map_err(|error| self.failed(error))?;
        Ok(hashes.map(|bytes| Tile::from_bytes(id, &bytes)).transpose()?)
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

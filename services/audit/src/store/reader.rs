//! Reading the log: entries, checkpoints and the hashes that proofs are made of. Works on a log in use and on files that
//! nobody else has open.

use std::collections::HashMap;
use std::path::Path;

use harombe_sql::Database;
use harombe_tlog::{Hash, ProofPlan, Tile, TileId};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::Head;
use super::appender::row_id;
use crate::Error;

/// One entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) index: u64,
    pub(crate) event_id: Vec<u8>,
    pub(crate) hash: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) details: Option<Vec<u8>>,
}

/// The read side of the log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    database: Database,
}

impl Reader {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// One entry, if the log has it.
    pub(crate) async fn entry(&self, index: u64) -> Result<Option<Row>, Error> {
        Ok(self
            .entries(index, 1)
            .await?
            .into_iter()
            .find(|row| row.index == index))
    }

    /// At most `limit` entries from `from` on, in order.
    pub(crate) async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Row>, Error> {
        let rows = sqlx::query(ENTRIES)
            .bind(row_id(from))
            .bind(i64::from(limit))
            .fetch_all(self.database.readers())
            .await
            .map_err(|error| self.database.error(error))?;
        rows.iter()
            .map(|row| read_row(row).map_err(|error| self.database.error(error).into()))
            .collect()
    }

    /// The signed checkpoint over exactly `size` entries.
    pub(crate) async fn checkpoint(&self, size: u64) -> Result<Option<String>, Error> {
        sqlx::query_scalar("SELECT note FROM checkpoints WHERE size = ?")
            .bind(row_id(size))
            .fetch_optional(self.database.readers())
            .await
            .map_err(|error| self.database.error(error).into())
    }

    /// The path from entry `index` to the root over the first `size` entries, which `head` must reach.
    pub(crate) async fn inclusion(&self, head: &Head, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
        let plan = ProofPlan::inclusion(index, size)?;
        let mut tiles: HashMap<TileId, Option<Tile>> = HashMap::new();
        for node in plan.nodes() {
            let id = TileId::of(node);
            if !tiles.contains_key(&id) && head.tree().hash_of(node).is_none() {
                tiles.insert(id, self.tile(id).await?);
            }
        }
        plan.assemble(|node| {
            let stored = || tiles.get(&TileId::of(node))?.as_ref()?.hash_of(node);
            head.tree().hash_of(node).or_else(stored).ok_or_else(|| {
                Error::Damaged(format!("no hash of node {} at level {}", node.index, node.level))
            })
        })
    }

    /// A full tile, if it is stored.
    pub(crate) async fn tile(&self, id: TileId) -> Result<Option<Tile>, Error> {
        let hashes: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT hashes FROM tiles WHERE level = ? AND idx = ?")
                .bind(i64::from(id.level))
                .bind(row_id(id.index))
                .fetch_optional(self.database.readers())
                .await
                .map_err(|error| self.database.error(error))?;
        Ok(hashes.map(|bytes| Tile::from_bytes(id, &bytes)).transpose()?)
    }

    /// Writes a compact copy of the file, as of one moment, to a path where there is none.
    pub(crate) async fn copy_to(&self, target: &Path) -> Result<(), Error> {
        sqlx::query("VACUUM INTO ?")
            .bind(target.to_string_lossy().into_owned())
            .execute(self.database.readers())
            .await
            .map_err(|error| self.database.error(error))?;
        Ok(())
    }

    pub(crate) async fn close(&self) {
        self.database.close().await;
    }
}

pub(crate) const ENTRIES: &str =
    "SELECT idx, event_id, hash, body, details FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?";

/// Reads a row of [`ENTRIES`].
pub(crate) fn read_row(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    let index: i64 = row.try_get(0)?;
    Ok(Row {
        index: u64::try_from(index).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        event_id: row.try_get(1)?,
        hash: row.try_get(2)?,
        body: row.try_get(3)?,
        details: row.try_get(4)?,
    })
}

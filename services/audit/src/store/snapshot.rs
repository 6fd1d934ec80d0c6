//! Reading the tables of a log over one connection: what taking up a log, verifying it and answering reads are made of.

use std::collections::HashMap;

use async_trait::async_trait;
use harombe_tlog::{Checkpoint, Hash, SigningKey, Tile, TileBuilder, TileId, VerifyingKey};
use sqlx::{PgConnection, Row as _, SqliteConnection};

use super::{Head, Row, row_id};
use crate::Error;

type Read<T> = Result<T, sqlx::Error>;

/// The reads of one connection, which may be inside a transaction. Nothing that is read is believed here.
#[async_trait]
pub(crate) trait Snapshot: Send {
    /// One more than the highest position of an entry.
    async fn size(&mut self) -> Read<u64>;

    /// At most `limit` entries from `from` on, in order.
    async fn entries(&mut self, from: u64, limit: u32) -> Read<Vec<Row>>;

    /// The stored leaf hashes of at most `limit` entries from `from` on, each with its position, in order.
    async fn hashes(&mut self, from: u64, limit: u32) -> Read<Vec<(i64, Vec<u8>)>>;

    /// The hashes of a full tile, one after the other.
    async fn tile(&mut self, id: TileId) -> Read<Option<Vec<u8>>>;

    /// The checkpoint filed under `size`.
    async fn checkpoint(&mut self, size: u64) -> Read<Option<String>>;

    /// The checkpoint filed under the largest size.
    async fn newest_checkpoint(&mut self) -> Read<Option<String>>;

    /// At most `limit` checkpoints filed under more than `after`, in order.
    async fn checkpoints(&mut self, after: i64, limit: u32) -> Read<Vec<(i64, String)>>;

    /// The last number of each tenant.
    async fn tenants(&mut self) -> Read<HashMap<String, u64>>;

    /// How many tiles are stored.
    async fn tile_count(&mut self) -> Read<u64>;

    /// How many rows stand before the first entry, where none belongs.
    async fn strays(&mut self) -> Read<u64>;
}

/// Both databases understand the same statements; only the types that carry them differ.
macro_rules! impl_snapshot {
    ($connection:ty) => {
        #[async_trait]
        impl Snapshot for $connection {
            async fn size(&mut self) -> Read<u64> {
                let size: i64 = sqlx::query_scalar("SELECT coalesce(max(idx) + 1, 0) FROM entries")
                    .fetch_one(self)
                    .await?;
                Ok(size.unsigned_abs())
            }

            async fn entries(&mut self, from: u64, limit: u32) -> Read<Vec<Row>> {
                let rows = sqlx::query(
                    "SELECT idx, event_id, hash, body, details FROM entries WHERE idx >= $1 ORDER BY idx LIMIT $2",
                )
                .bind(row_id(from))
                .bind(i64::from(limit))
                .fetch_all(self)
                .await?;
                rows.iter()
                    .map(|row| {
                        let index: i64 = row.try_get(0)?;
                        Ok(Row {
                            index: u64::try_from(index).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
                            event_id: row.try_get(1)?,
                            hash: row.try_get(2)?,
                            body: row.try_get(3)?,
                            details: row.try_get(4)?,
                        })
                    })
                    .collect()
            }

            async fn hashes(&mut self, from: u64, limit: u32) -> Read<Vec<(i64, Vec<u8>)>> {
                sqlx::query_as("SELECT idx, hash FROM entries WHERE idx >= $1 ORDER BY idx LIMIT $2")
                    .bind(row_id(from))
                    .bind(i64::from(limit))
                    .fetch_all(self)
                    .await
            }

            async fn tile(&mut self, id: TileId) -> Read<Option<Vec<u8>>> {
                sqlx::query_scalar("SELECT hashes FROM tiles WHERE level = $1 AND idx = $2")
                    .bind(i64::from(id.level))
                    .bind(row_id(id.index))
                    .fetch_optional(self)
                    .await
            }

            async fn checkpoint(&mut self, size: u64) -> Read<Option<String>> {
                sqlx::query_scalar("SELECT note FROM checkpoints WHERE size = $1")
                    .bind(row_id(size))
                    .fetch_optional(self)
                    .await
            }

            async fn newest_checkpoint(&mut self) -> Read<Option<String>> {
                sqlx::query_scalar("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1")
                    .fetch_optional(self)
                    .await
            }

            async fn checkpoints(&mut self, after: i64, limit: u32) -> Read<Vec<(i64, String)>> {
                sqlx::query_as("SELECT size, note FROM checkpoints WHERE size > $1 ORDER BY size LIMIT $2")
                    .bind(after)
                    .bind(i64::from(limit))
                    .fetch_all(self)
                    .await
            }

            async fn tenants(&mut self) -> Read<HashMap<String, u64>> {
                let rows: Vec<(String, i64)> = sqlx::query_as("SELECT tenant, seq FROM tenants")
                    .fetch_all(self)
                    .await?;
                Ok(rows
                    .into_iter()
                    .map(|(tenant, seq)| (tenant, seq.unsigned_abs()))
                    .collect())
            }

            async fn tile_count(&mut self) -> Read<u64> {
                let tiles: i64 = sqlx::query_scalar("SELECT count(*) FROM tiles")
                    .fetch_one(self)
                    .await?;
                Ok(tiles.unsigned_abs())
            }

            async fn strays(&mut self) -> Read<u64> {
                let rows: i64 = sqlx::query_scalar(
                    "SELECT (SELECT count(*) FROM entries WHERE idx < 0) + (SELECT count(*) FROM checkpoints WHERE size < 0)",
                )
                .fetch_one(self)
                .await?;
                Ok(rows.unsigned_abs())
            }
        }
    };
}

impl_snapshot!(SqliteConnection);
impl_snapshot!(PgConnection);

/// What a writer needs to know of a log in order to go on with it.
pub(super) struct State {
    pub(super) head: Head,
    /// The last number of each tenant.
    pub(super) tenants: HashMap<String, u64>,
}

/// Takes up a log: the tree from its tiles and its tail, and the proof that it is the tree last signed. `db` must not see
/// commits that come meanwhile.
pub(super) async fn state(db: &mut dyn Snapshot, key: &SigningKey) -> Result<State, Error> {
    let size = db.size().await.map_err(failed)?;
    let newest = db.newest_checkpoint().await.map_err(failed)?;
    let tenants = db.tenants().await.map_err(failed)?;
    let tree = tree(db, size).await?;
    let head = match newest {
        Some(note) => signed(tree, note, key.verifying_key())?,
        None if size == 0 => Head::sign(tree, key)?,
        None => return Err(Error::Damaged("entries without a checkpoint".to_owned())),
    };
    Ok(State { head, tenants })
}

/// The head over `tree`, which `note` must be about and `key` must have signed.
pub(super) fn signed(tree: TileBuilder, note: String, key: &VerifyingKey) -> Result<Head, Error> {
    let checkpoint = Checkpoint::open(note.as_bytes(), key)
        .map_err(|error| Error::Damaged(format!("newest checkpoint: {error}")))?;
    if checkpoint.size() != tree.size() || *checkpoint.root() != tree.root() {
        let (signed, found) = (checkpoint.size(), tree.size());
        return Err(Error::Damaged(format!(
            "the newest checkpoint is over {signed} entries, the log has {found}, or one of them is not what was signed"
        )));
    }
    Ok(Head::resume(tree, note))
}

/// The tree over the first `size` entries, from what is stored of it.
pub(super) async fn tree(db: &mut dyn Snapshot, size: u64) -> Result<TileBuilder, Error> {
    let mut edges = Vec::new();
    for (id, width) in TileBuilder::partial_tiles(size)? {
        let first = id.index * 256;
        let hashes = match id.level.checked_sub(1) {
            None => leaf_hashes(db, first, u64::from(width)).await?,
            Some(level) => {
                let mut roots = Vec::with_capacity(usize::from(width));
                for index in first..first + u64::from(width) {
                    roots.push(tile_root(db, TileId { level, index }).await?);
                }
                roots
            }
        };
        edges.push(Tile::new(id, hashes)?);
    }
    Ok(TileBuilder::resume(size, edges)?)
}

/// The stored leaf hashes of `count` entries, all of which must be there.
pub(super) async fn leaf_hashes(db: &mut dyn Snapshot, from: u64, count: u64) -> Result<Vec<Hash>, Error> {
    let limit = u32::try_from(count).unwrap_or(u32::MAX);
    let rows = db.hashes(from, limit).await.map_err(failed)?;
    let mut hashes = Vec::with_capacity(rows.len());
    for (expected, (index, hash)) in (from..).zip(&rows) {
        if *index != row_id(expected) {
            return Err(Error::Damaged(format!("entry {expected} is missing")));
        }
        hashes.push(Hash::try_from(hash.as_slice())?);
    }
    if hashes.len() as u64 != count {
        let missing = from + hashes.len() as u64;
        return Err(Error::Damaged(format!("entry {missing} is missing")));
    }
    Ok(hashes)
}

async fn tile_root(db: &mut dyn Snapshot, id: TileId) -> Result<Hash, Error> {
    let TileId { level, index } = id;
    let missing = || Error::Damaged(format!("tile {index} of level {level} is missing"));
    let hashes = db.tile(id).await.map_err(failed)?.ok_or_else(missing)?;
    Ok(Tile::from_bytes(id, &hashes)?.root())
}

fn failed(error: sqlx::Error) -> Error {
    Error::Store(error.into())
}

//! Taking up a log again: the tree from its tiles and its tail, and the proof that it is the tree last signed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use harombe_sql::{Connection, Database, GroupCommit, Limits, Migrator};
use harombe_tlog::{Checkpoint, Hash, SigningKey, Tile, TileBuilder, TileId};
use sqlx::{Connection as _, Row as _};
use tokio::sync::watch;

use super::appender::{Appender, row_id};
use super::{CHECKPOINT_FILE, Head, KEYS_DIRECTORY, LOG_FILE, Reader, Store, signer};
use crate::Error;

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/log");

pub(super) async fn store(directory: &Path, limits: Limits) -> Result<Store, Error> {
    let (database, writer) = Database::open(&directory.join(LOG_FILE), &MIGRATIONS).await?;
    let reader = Reader::new(database.clone());
    let is_new = reader.entries(0, 1).await?.is_empty();
    let key = signer::load(&directory.join(KEYS_DIRECTORY), is_new)?;
    let verifier_key = key.verifying_key().to_string();
    let mut connection = database
        .readers()
        .acquire()
        .await
        .map_err(|error| database.error(error))?;
    let (head, tenants) = state(&mut connection, &key).await?;
    drop(connection);
    check_published(directory, &reader, &head, &key).await?;
    let (sender, head) = watch::channel(Arc::new(head));
    let commits = GroupCommit::start(writer, Appender::new(key, sender, tenants), limits);
    Ok(Store {
        directory: directory.to_owned(),
        commits,
        reader,
        head,
        verifier_key,
    })
}

/// Reads the state of the log from the file, in one snapshot.
pub(super) async fn state(
    connection: &mut Connection,
    key: &SigningKey,
) -> Result<(Head, HashMap<String, u64>), Error> {
    let mut snapshot = connection.begin().await.map_err(harombe_sql::Error::from)?;
    let head = head(&mut snapshot, key).await?;
    let rows = sqlx::query("SELECT tenant, seq FROM tenants")
        .fetch_all(&mut *snapshot)
        .await;
    let rows = rows.map_err(harombe_sql::Error::from)?;
    let mut tenants = HashMap::with_capacity(rows.len());
    for row in rows {
        let seq: i64 = row.try_get(1).map_err(harombe_sql::Error::from)?;
        tenants.insert(
            row.try_get(0).map_err(harombe_sql::Error::from)?,
            seq.unsigned_abs(),
        );
    }
    Ok((head, tenants))
}

async fn head(connection: &mut Connection, key: &SigningKey) -> Result<Head, Error> {
    let size: i64 = sqlx::query_scalar("SELECT coalesce(max(idx) + 1, 0) FROM entries")
        .fetch_one(&mut *connection)
        .await
        .map_err(harombe_sql::Error::from)?;
    let tree = tree(connection, size.unsigned_abs()).await?;
    let newest: Option<String> =
        sqlx::query_scalar("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1")
            .fetch_optional(&mut *connection)
            .await
            .map_err(harombe_sql::Error::from)?;
    let Some(note) = newest else {
        if tree.size() > 0 {
            return Err(Error::Damaged("entries without a checkpoint".to_owned()));
        }
        return Head::sign(tree, key);
    };
    let checkpoint = Checkpoint::open(note.as_bytes(), key.verifying_key())
        .map_err(|error| Error::Damaged(format!("newest checkpoint: {error}")))?;
    if checkpoint.size() != tree.size() || *checkpoint.root() != tree.root() {
        let (signed, found) = (checkpoint.size(), tree.size());
        return Err(Error::Damaged(format!(
            "the newest checkpoint is over {signed} entries, the file has {found}, or one of them is not what was signed"
        )));
    }
    Ok(Head::resume(tree, note))
}

async fn tree(connection: &mut Connection, size: u64) -> Result<TileBuilder, Error> {
    let mut edges = Vec::new();
    for (id, width) in TileBuilder::partial_tiles(size)? {
        let mut hashes = Vec::with_capacity(usize::from(width));
        for at in 0..u64::from(width) {
            let index = id.index * 256 + at;
            hashes.push(match id.level.checked_sub(1) {
                None => entry_hash(connection, index).await?,
                Some(level) => tile_root(connection, TileId { level, index }).await?,
            });
        }
        edges.push(Tile::new(id, hashes)?);
    }
    Ok(TileBuilder::resume(size, edges)?)
}

async fn entry_hash(connection: &mut Connection, index: u64) -> Result<Hash, Error> {
    let hash: Option<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM entries WHERE idx = ?")
        .bind(row_id(index))
        .fetch_optional(connection)
        .await
        .map_err(harombe_sql::Error::from)?;
    let hash = hash.ok_or_else(|| Error::Damaged(format!("entry {index} is missing")))?;
    Ok(Hash::try_from(hash.as_slice())?)
}

async fn tile_root(connection: &mut Connection, id: TileId) -> Result<Hash, Error> {
    let TileId { level, index } = id;
    let hashes: Option<Vec<u8>> = sqlx::query_scalar("SELECT hashes FROM tiles WHERE level = ? AND idx = ?")
        .bind(i64::from(level))
        .bind(row_id(index))
        .fetch_optional(connection)
        .await
        .map_err(harombe_sql::Error::from)?;
    let missing = || Error::Damaged(format!("tile {index} of level {level} is missing"));
    Ok(Tile::from_bytes(id, &hashes.ok_or_else(missing)?)?.root())
}

/// The checkpoint file may lag behind the log and never lead it: a log that is shorter was rolled back.
async fn check_published(
    directory: &Path,
    reader: &Reader,
    head: &Head,
    key: &SigningKey,
) -> Result<(), Error> {
    let path = directory.join(CHECKPOINT_FILE);
    let note = match std::fs::read(&path) {
        Ok(note) => note,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::File { path, source }),
    };
    let published = Checkpoint::open(&note, key.verifying_key())
        .map_err(|error| Error::Damaged(format!("{}: {error}", path.display())))?;
    let size = published.size();
    if size > head.size() {
        let found = head.size();
        return Err(Error::Damaged(format!(
            "{size} entries were published, the file has {found}"
        )));
    }
    if size == 0 {
        return Ok(());
    }
    let signed = reader
        .checkpoint(size)
        .await?
        .map(|note| Checkpoint::open(note.as_bytes(), key.verifying_key()));
    match signed {
        Some(Ok(signed)) if signed == published => Ok(()),
        _ => Err(Error::Damaged(format!(
            "the log has another history than the one published at {size} entries"
        ))),
    }
}

//! Knowing the newest head without being the writer: each new checkpoint is taken only as the continuation of the last.

use std::sync::Arc;

use harombe_sql::Postgres;
use harombe_tlog::VerifyingKey;
use parking_lot::Mutex;
use sqlx::PgConnection;

use crate::Error;
use crate::store::snapshot::{leaf_hashes, signed, tree};
use crate::store::{Head, Snapshot as _};

/// A head that is further away than this is built from tiles, a nearer one by appending what is new.
const NEAR: u64 = 4096;

/// The newest head that this instance has seen, and how to see the next.
pub(super) struct Follower {
    database: Postgres,
    key: VerifyingKey,
    seen: Mutex<Arc<Head>>,
}

impl Follower {
    /// `seen` is a head that the log is known to continue.
    pub(super) fn new(database: Postgres, key: VerifyingKey, seen: Arc<Head>) -> Self {
        Self {
            database,
            key,
            seen: Mutex::new(seen),
        }
    }

    /// The head of the log as it is now. A log that went back, or whose new entries do not lead to what was signed, is an
    /// error and stays one.
    pub(super) async fn head(&self) -> Result<Arc<Head>, Error> {
        let seen = Arc::clone(&self.seen.lock());
        let head = self
            .database
            .idempotent(move |db| {
                let (seen, key) = (Arc::clone(&seen), self.key.clone());
                Box::pin(async move { next(db, seen, &key).await.map_err(Error::into_store) })
            })
            .await?;
        let mut seen = self.seen.lock();
        if head.size() > seen.size() {
            *seen = Arc::clone(&head);
        }
        Ok(head)
    }
}

async fn next(db: &mut PgConnection, seen: Arc<Head>, key: &VerifyingKey) -> Result<Arc<Head>, Error> {
    let read = db.newest_checkpoint().await;
    let newest = read.map_err(|error| Error::Store(error.into()))?;
    let Some(note) = newest else {
        return went_back(&seen, 0);
    };
    if note == seen.note() {
        return Ok(seen);
    }
    let size = harombe_tlog::Checkpoint::open(note.as_bytes(), key)
        .map_err(|error| Error::Damaged(format!("newest checkpoint: {error}")))?
        .size();
    let Some(added) = size.checked_sub(seen.size()).filter(|added| *added > 0) else {
        return went_back(&seen, size);
    };
    let tree = if added > NEAR {
        tree(db, size).await?
    } else {
        let mut tree = seen.tree().clone();
        for hash in leaf_hashes(db, seen.size(), added).await? {
            tree.push(hash);
        }
        tree
    };
    Ok(Arc::new(signed(tree, note, key)?))
}

/// The answer to a log that is no longer than the one seen and not the same.
fn went_back(seen: &Arc<Head>, size: u64) -> Result<Arc<Head>, Error> {
    if seen.size() == 0 && size == 0 {
        return Ok(Arc::clone(seen));
    }
    let before = seen.size();
    Err(Error::Damaged(format!(
        "it had {before} entries and now has another history of {size}"
    )))
}

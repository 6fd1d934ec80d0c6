//! Checking a log from its files alone: every leaf, the tree, every signed checkpoint, and the sequences; naming the first
//! entry that is not what was written. Reads only, so it works on a copy and on a log in use.

mod checkpoints;
mod damage;
mod report;
mod sequences;
mod walk;

use std::path::Path;

use harombe_sql::Database;
use harombe_tlog::{Checkpoint, VerifyingKey};
use sqlx::Connection as _;

use crate::Error;
use crate::store::{CHECKPOINT_FILE, KEYS_DIRECTORY, LOG_FILE, VERIFIER_FILE, load_verifier};
pub use damage::{Damage, Kind};
pub use report::{Report, Trust, Unaccounted};

/// Why a log is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("the log is damaged: {0}")]
    Damaged(Damage),
    #[error("there is no log to verify at {path}")]
    NoLog { path: std::path::PathBuf },
    #[error("there is no usable public key beside the log; give the one kept elsewhere")]
    NoKey(#[source] Error),
}

impl From<Damage> for VerifyError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// Verifies the log in `directory` (the service's own, which holds `audit.db`). Without `key` it trusts the public key
/// that lies beside the log, and the report says so: whoever can replace both can replace the log.
pub async fn verify(directory: &Path, key: Option<VerifyingKey>) -> Result<Report, VerifyError> {
    let path = directory.join(LOG_FILE);
    if !path.is_file() {
        return Err(VerifyError::NoLog { path });
    }
    let (key, trust) = match key {
        Some(key) => (key, Trust::Given),
        None => {
            let beside = directory.join(KEYS_DIRECTORY).join(VERIFIER_FILE);
            (load_verifier(&beside).map_err(VerifyError::NoKey)?, Trust::Beside)
        }
    };
    // Read before the database: the file may lag behind the log, and never leads it.
    let published = published(directory, &key)?;
    let database = Database::open_read_only(&path)
        .await
        .map_err(|error| Damage::unreadable(None, &error))?;
    let verdict = inspect(&database, key, published.as_ref()).await;
    database.close().await;
    Ok(verdict?.report(trust))
}

async fn inspect(
    database: &Database,
    key: VerifyingKey,
    published: Option<&Checkpoint>,
) -> Result<walk::Walk, Damage> {
    let unreadable = |error| Damage::unreadable(None, &database.error(error));
    let mut connection = database.readers().acquire().await.map_err(unreadable)?;
    let mut snapshot = connection.begin().await.map_err(unreadable)?;
    let mut walk = walk::Walk::new(key, published.cloned());
    walk.run(&mut snapshot).await?;
    // Last, because it cannot name an entry: what the walk does not read, such as the index of event ids.
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(&mut *snapshot)
        .await
        .map_err(unreadable)?;
    if verdict != "ok" {
        return Err(Damage::new(
            Kind::Unreadable,
            None,
            format!("the database contradicts itself: {verdict}"),
        ));
    }
    Ok(walk)
}

fn published(directory: &Path, key: &VerifyingKey) -> Result<Option<Checkpoint>, Damage> {
    let bytes = match std::fs::read(directory.join(CHECKPOINT_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Damage::new(
                Kind::Unreadable,
                None,
                format!("checkpoint file: {error}"),
            ));
        }
    };
    let checkpoint = Checkpoint::open(&bytes, key)
        .map_err(|error| Damage::new(Kind::ForgedCheckpoint, None, format!("checkpoint file: {error}")))?;
    Ok(Some(checkpoint))
}

#[cfg(test)]
mod tests;

//! Checking a log from its files alone: every leaf, the tree, every signed checkpoint, and the sequences; naming the first
//! entry that is not what was written. Reads only, so it works on a copy and on a log in use.

mod checkpoints;
mod damage;
mod report;
mod sequences;
mod walk;

use std::path::Path;

use harombe_sql::{Database, PostgresConfig};
use harombe_tlog::{Checkpoint, VerifyingKey};
use sqlx::Connection as _;

use crate::Error;
use crate::files::Source;
use crate::store::sqlite::LOG_FILE;
use crate::store::{CHECKPOINT_FILE, KEYS_DIRECTORY, Snapshot, VERIFIER_FILE, load_verifier, postgres};
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
    #[error("the checkpoint that was given is not one that the log's key has signed")]
    NotItsCheckpoint(#[source] harombe_tlog::Error),
    #[error("the log cannot be reached")]
    Unreachable(#[source] Error),
}

impl From<Damage> for VerifyError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// What the verifier knows from elsewhere; the more, the more is proven.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The public key of the log. Without it the one that lies beside the log is trusted, and the report says so: whoever
    /// can replace both can replace the log.
    pub key: Option<VerifyingKey>,
    /// A signed checkpoint that was kept: the log must still begin with what it was signed over.
    pub checkpoint: Option<Vec<u8>>,
}

/// A signed checkpoint that is not from the log itself.
#[derive(Debug, Clone)]
struct Kept {
    checkpoint: Checkpoint,
    /// Where it is from, for messages.
    name: &'static str,
}

/// Verifies the log in `directory` (the service's own, which holds `audit.db`), as [`verify_with`] does.
pub async fn verify(directory: &Path, key: Option<VerifyingKey>) -> Result<Report, VerifyError> {
    let known = Known {
        key,
        checkpoint: None,
    };
    verify_with(directory, known).await
}

/// Verifies a log. It is read once, in pages, as of one moment; nothing is written, and appends go on meanwhile.
pub async fn verify_with(source: impl Into<Source<'_>>, known: Known) -> Result<Report, VerifyError> {
    match source.into() {
        Source::Directory(directory) => in_files(directory, known).await,
        Source::Postgres { config, .. } => in_postgres(config, known).await,
    }
}

async fn in_files(directory: &Path, known: Known) -> Result<Report, VerifyError> {
    let path = directory.join(LOG_FILE);
    if !path.is_file() {
        return Err(VerifyError::NoLog { path });
    }
    let (key, trust) = match known.key {
        Some(key) => (key, Trust::Given),
        None => {
            let beside = directory.join(KEYS_DIRECTORY).join(VERIFIER_FILE);
            (load_verifier(&beside).map_err(VerifyError::NoKey)?, Trust::Beside)
        }
    };
    // Read before the database: the file may lag behind the log, and never leads it.
    let mut kept = published(directory, &key)?;
    kept.extend(given(known.checkpoint, &key)?);
    let database = Database::open_read_only(&path)
        .await
        .map_err(|error| Damage::unreadable(None, &error))?;
    let verdict = inspect(&database, walk::Walk::new(key, kept)).await;
    database.close().await;
    Ok(verdict?.report(trust))
}

async fn inspect(database: &Database, mut walk: walk::Walk) -> Result<walk::Walk, Damage> {
    let unreadable = |error| Damage::unreadable(None, &database.error(error));
    let mut connection = database.readers().acquire().await.map_err(unreadable)?;
    let mut snapshot = connection.begin().await.map_err(unreadable)?;
    walk.run(&mut *snapshot).await?;
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

async fn in_postgres(config: &PostgresConfig, known: Known) -> Result<Report, VerifyError> {
    let reader = postgres::read_only(config)
        .await
        .map_err(VerifyError::Unreachable)?;
    let mut snapshot = reader.snapshot().await.map_err(VerifyError::Unreachable)?;
    let (key, trust) = match known.key {
        Some(key) => (key, Trust::Given),
        None => {
            let beside = postgres::verifier(&mut snapshot).await;
            (beside.map_err(VerifyError::NoKey)?, Trust::Beside)
        }
    };
    let kept = given(known.checkpoint, &key)?.into_iter().collect();
    let mut walk = walk::Walk::new(key, kept);
    let rows: &mut dyn Snapshot = &mut *snapshot;
    walk.run(rows).await?;
    Ok(walk.report(trust))
}

fn given(note: Option<Vec<u8>>, key: &VerifyingKey) -> Result<Option<Kept>, VerifyError> {
    let Some(note) = note else { return Ok(None) };
    let checkpoint = Checkpoint::open(&note, key).map_err(VerifyError::NotItsCheckpoint)?;
    Ok(Some(Kept {
        checkpoint,
        name: "the checkpoint that was given",
    }))
}

fn published(directory: &Path, key: &VerifyingKey) -> Result<Vec<Kept>, Damage> {
    let bytes = match std::fs::read(directory.join(CHECKPOINT_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
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
    Ok(vec![Kept {
        checkpoint,
        name: "the published checkpoint",
    }])
}

#[cfg(test)]
mod tests;

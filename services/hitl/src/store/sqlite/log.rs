//! The write-ahead log of the file, which holds what was erased until it is emptied.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::Instant;

/// How long readers and writers are waited for by who has something erased. Nobody can write meanwhile.
const ASKED: Duration = Duration::from_secs(2);
/// How long until then another checkpoint, for which SQLite does not wait, is given to end.
const AGAIN: Duration = Duration::from_millis(10);
/// How long they are waited for when it is tried again.
const REPEATED: Duration = Duration::from_millis(100);

pub(super) struct Log {
    path: PathBuf,
    /// It may hold what was erased.
    is_full: AtomicBool,
}

impl Log {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            // who was here before may have been killed before it was emptied
            is_full: AtomicBool::new(true),
        }
    }

    /// Something is erased: if nobody stays to empty it, it is emptied later.
    pub(super) fn fills(&self) {
        self.is_full.store(true, Ordering::Release);
    }

    /// What was erased is in it no longer; if it cannot be emptied now, it is tried again soon.
    pub(super) async fn empty(&self) {
        if !self.try_to_empty(ASKED).await {
            let path = self.path.display();
            tracing::warn!(%path, "erased rows are in the write-ahead log for now; it is emptied as soon as it can be");
        }
    }

    /// Empties it if it was left full.
    pub(super) async fn empty_what_was_left(&self) {
        if self.is_full.load(Ordering::Acquire) {
            self.try_to_empty(REPEATED).await;
        }
    }

    /// Whether it could be.
    async fn try_to_empty(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        self.is_full.store(false, Ordering::Release);
        let mut emptied = checkpoint(&self.path, patience).await;
        // while another checkpoint runs, SQLite does not wait
        while matches!(emptied, Ok(false)) && Instant::now() < until {
            tokio::time::sleep(AGAIN).await;
            let left = until.saturating_duration_since(Instant::now());
            emptied = checkpoint(&self.path, left).await;
        }
        if let Err(error) = &emptied {
            tracing::debug!(%error, "the write-ahead log cannot be emptied");
        }
        let emptied = emptied.unwrap_or(false);
        if !emptied {
            self.fills();
        }
        emptied
    }
}

/// Copies the log into the file and truncates it: what was erased is in neither afterwards. Whether it could: not while
/// somebody reads or writes for longer than this.
async fn checkpoint(path: &Path, patience: Duration) -> Result<bool, sqlx::Error> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(patience)
        .disable_statement_logging()
        .connect()
        .await?;
    // that it is busy is no error, but a row that says so
    let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(busy == 0)
}

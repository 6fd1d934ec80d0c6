//! A file's write-ahead log holds what was erased until it is emptied.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::Instant;

use crate::Error;

/// How long readers and writers are waited for by who has something erased. Nobody can write meanwhile.
const ASKED: Duration = Duration::from_secs(2);
/// How long until then another checkpoint, for which SQLite does not wait, is given to end.
const AGAIN: Duration = Duration::from_millis(10);
/// How long they are waited for when it is tried again.
const REPEATED: Duration = Duration::from_millis(100);

/// The write-ahead log of a database file, for who erases rows: these are in it until it is emptied.
#[derive(Debug, Clone)]
pub struct WriteAheadLog {
    path: Arc<Path>,
    marks: Arc<Marks>,
}

/// While the second is behind the first, the log may hold what was erased.
#[derive(Debug)]
struct Marks {
    erased: AtomicU64,
    emptied: AtomicU64,
}

impl WriteAheadLog {
    /// The log of the database file at `path`. It counts as full, until [`Self::empty_what_was_left`].
    pub fn of(path: &Path) -> Self {
        Self {
            path: path.into(),
            // who was here before may have been killed before it was emptied
            marks: Arc::new(Marks {
                erased: AtomicU64::new(1),
                emptied: AtomicU64::new(0),
            }),
        }
    }

    /// To be said by the unit that erases, which keeps others from emptying the log until it is committed: if nobody stays to
    /// empty it then, it is emptied later.
    pub fn mark_full(&self) {
        self.marks.erased.fetch_add(1, Ordering::AcqRel);
    }

    /// What was erased is in it no longer; if that takes longer than 2 s, it stays for [`Self::empty_what_was_left`].
    pub async fn empty(&self) {
        if let Err(error) = self.empty_within(ASKED).await {
            tracing::warn!(
                %error,
                "erased rows are in the write-ahead log for now; it is emptied as soon as it can be"
            );
        }
    }

    /// Empties it if it was left full and can be emptied at once; to be called every now and then.
    pub async fn empty_what_was_left(&self) {
        if self.marks.emptied.load(Ordering::Acquire) < self.marks.erased.load(Ordering::Acquire)
            && let Err(error) = self.empty_within(REPEATED).await
        {
            tracing::debug!(%error, "the write-ahead log cannot be emptied yet");
        }
    }

    /// Copies the log into the file and truncates it: what was erased is in neither afterwards.
    ///
    /// # Errors
    /// [`Error::Locked`] when somebody reads or writes for longer than `patience`; [`Error::DiskFull`] and the like.
    pub async fn empty_within(&self, patience: Duration) -> Result<(), Error> {
        let erased = self.marks.erased.load(Ordering::Acquire);
        self.checkpoint_within(patience).await?;
        // who marked it meanwhile may have been too late for this checkpoint
        self.marks.emptied.fetch_max(erased, Ordering::AcqRel);
        Ok(())
    }

    async fn checkpoint_within(&self, patience: Duration) -> Result<(), Error> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let emptied = checkpoint(&self.path, left).await;
            if emptied.map_err(|error| Error::from(error).located(&self.path))? {
                return Ok(());
            }
            // while another checkpoint runs, SQLite does not wait
            if Instant::now() + AGAIN >= until {
                let path = self.path.to_path_buf();
                return Err(Error::Locked { path });
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Whether nobody was in the way for longer than `patience`.
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

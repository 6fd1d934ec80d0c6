//! The log on disk: one SQLite file that is only ever appended to, a second one with the keys that open details, a third
//! one with derived indexes. The seam for another database is this module: nothing outside it names SQL.

mod appender;
mod data_keys;
mod head;
mod index;
mod open;
mod reader;
mod signer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use harombe_sql::{GroupCommit, Limits};
use harombe_types::ServiceName;
use tokio::sync::watch;

use crate::Error;
use crate::domain::Draft;
pub(crate) use appender::{Appended, Appender};
pub(crate) use data_keys::DataKeys;
pub(crate) use head::Head;
pub(crate) use index::Index;
pub(crate) use reader::{ENTRIES, Reader, Row, read_row};
pub(crate) use signer::{VERIFIER_FILE, load_verifier, write_whole};

/// The name of the database file in the service's directory.
pub(crate) const LOG_FILE: &str = "audit.db";
/// The newest signed checkpoint, as a file of its own beside the database: a log that was rolled back is shorter than it.
pub(crate) const CHECKPOINT_FILE: &str = "checkpoint";
pub(crate) const KEYS_DIRECTORY: &str = "keys";
pub(crate) const DATA_KEYS_FILE: &str = "data-keys.db";
const INDEX_FILE: &str = "index.db";

/// Whose turn it is in the queue: one noisy service or tenant waits for itself only.
pub(crate) type Lane = (ServiceName, String);

/// The log, opened for writing.
pub(crate) struct Store {
    directory: PathBuf,
    commits: GroupCommit<Appender>,
    reader: Reader,
    head: watch::Receiver<Arc<Head>>,
    verifier_key: String,
}

impl Store {
    /// Opens or creates the log in `directory`, and refuses one that contradicts its own newest checkpoint.
    pub(crate) async fn open(directory: &Path, limits: Limits) -> Result<Self, Error> {
        open::store(directory, limits).await
    }

    /// Appends all drafts or none, and returns their indexes once they are durable and in the signed tree.
    pub(crate) async fn append(&self, lane: &Lane, drafts: Vec<Draft>) -> Result<Appended, Error> {
        self.commits
            .submit(lane, drafts)
            .await?
            .map_err(|appender::Taken| Error::EventIdTaken)
    }

    /// The state of the log after the last commit.
    pub(crate) fn head(&self) -> Arc<Head> {
        Arc::clone(&self.head.borrow())
    }

    /// Tells of each new head.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Head>> {
        self.head.clone()
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The public key of the log as a C2SP vkey.
    pub(crate) fn verifier_key(&self) -> &str {
        &self.verifier_key
    }

    /// Takes no more events, writes those that wait, and closes the file.
    pub(crate) async fn close(&self) {
        // The writer last: SQLite folds its write-ahead log into the file when the last connection closes.
        self.reader.close().await;
        self.commits.shutdown().await;
    }
}

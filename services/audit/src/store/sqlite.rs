//! The log in SQLite: one file that is only ever appended to, a second one with the keys that open details, a third one
//! with the derived index. The files have one writing process, so that process is always the one that takes appends.

mod appender;
mod data_keys;
mod index;
mod reader;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use harombe_sql::{Database, GroupCommit, Limits, Migrator};
use sqlx::Connection as _;
use tokio::sync::watch;

use self::appender::Appender;
use super::ledger::{Appended, Ledger, Taken};
use super::port::{Reader, Store};
use super::snapshot::State;
use super::{Head, KEYS_DIRECTORY, Lane, Term, published, signer, snapshot};
use crate::Error;
use crate::domain::Draft;
use crate::metrics::Numbers;
pub(crate) use data_keys::SqliteKeys;
pub(crate) use index::SqliteIndex;
pub(crate) use reader::SqliteReader;

/// The name of the database file in the service's directory.
pub(crate) const LOG_FILE: &str = "audit.db";
pub(crate) const DATA_KEYS_FILE: &str = "data-keys.db";
const INDEX_FILE: &str = "index.db";

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/sqlite/log");

/// The log, opened for writing.
pub(crate) struct SqliteStore {
    commits: GroupCommit<Appender>,
    reader: SqliteReader,
    head: watch::Receiver<Arc<Head>>,
    writes: watch::Sender<Option<Term>>,
    verifier_key: String,
}

impl SqliteStore {
    /// Opens or creates the log in `directory`, and refuses one that contradicts its own newest checkpoint.
    pub(crate) async fn open(
        directory: &Path,
        signing_key: &Path,
        limits: Limits,
        numbers: &Numbers,
    ) -> Result<Self, Error> {
        let (database, writer) = Database::open(&directory.join(LOG_FILE), &MIGRATIONS).await?;
        let reader = SqliteReader::new(database.clone());
        let is_new = reader.entries(0, 1).await?.is_empty();
        let key = signer::load(signing_key, is_new)?;
        signer::publish(&directory.join(KEYS_DIRECTORY), key.verifying_key())?;
        let verifying = key.verifying_key().clone();
        let unreadable = |error| Error::Store(database.error(error));
        let mut connection = database.readers().acquire().await.map_err(unreadable)?;
        let mut transaction = connection.begin().await.map_err(unreadable)?;
        let State { head, tenants } = snapshot::state(&mut *transaction, &key).await?;
        drop(transaction);
        drop(connection);
        published::check(directory, &reader, &head, &verifying).await?;
        let (sender, head) = watch::channel(Arc::new(head));
        let appender = Appender::new(Ledger::new(key, sender, tenants, numbers.clone()));
        Ok(Self {
            commits: GroupCommit::start(writer, appender, limits),
            reader,
            head,
            writes: watch::Sender::new(Some(Term::default())),
            verifier_key: verifying.to_string(),
        })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn append(&self, lane: &Lane, _term: Term, drafts: Vec<Draft>) -> Result<Appended, Error> {
        self.commits
            .submit(lane, drafts)
            .await?
            .map_err(|Taken| Error::EventIdTaken)
    }

    async fn head(&self) -> Result<Arc<Head>, Error> {
        Ok(Arc::clone(&self.head.borrow()))
    }

    fn watch(&self) -> watch::Receiver<Arc<Head>> {
        self.head.clone()
    }

    fn writes(&self) -> watch::Receiver<Option<Term>> {
        self.writes.subscribe()
    }

    fn term(&self) -> Option<Term> {
        *self.writes.borrow()
    }

    fn reader(&self) -> &dyn Reader {
        &self.reader
    }

    fn verifier_key(&self) -> &str {
        &self.verifier_key
    }

    async fn close(&self) {
        // The writer last: SQLite folds its write-ahead log into the file when the last connection closes.
        self.reader.close().await;
        self.commits.shutdown().await;
    }
}

#[cfg(test)]
mod tests;

//! What the use cases need of a database.

use std::sync::Arc;

use async_trait::async_trait;
use harombe_tlog::{Tile, TileId};
use tokio::sync::watch;

use super::{Appended, Head, Lane};
use crate::Error;
use crate::domain::{Draft, Filter};

/// One entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) index: u64,
    pub(crate) event_id: Vec<u8>,
    pub(crate) hash: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) details: Option<Vec<u8>>,
}

/// A time of being the one that writes, numbered by the instance. What was made ready in one term is not written in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Term(u64);

impl Term {
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The log, opened for writing. Where several instances have it open, one of them writes and all of them read.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// Appends all drafts, sealed in `term`, or none, and returns their indexes once they are durable and in the signed tree.
    async fn append(&self, lane: &Lane, term: Term, drafts: Vec<Draft>) -> Result<Appended, Error>;

    /// The state of the log after the last commit, whoever made it.
    async fn head(&self) -> Result<Arc<Head>, Error>;

    /// Tells of each head that this instance commits or takes over.
    fn watch(&self) -> watch::Receiver<Arc<Head>>;

    /// Tells whether this instance is the one that takes appends, and in which term.
    fn writes(&self) -> watch::Receiver<Option<Term>>;

    /// The term in which this instance takes appends now.
    fn term(&self) -> Option<Term>;

    fn reader(&self) -> &dyn Reader;

    /// The public key of the log as a C2SP vkey.
    fn verifier_key(&self) -> &str;

    /// Takes no more events, writes those that wait, and closes the database.
    async fn close(&self);
}

/// The read side of a log. Works on a log in use and on one that nobody else has open.
#[async_trait]
pub(crate) trait Reader: Send + Sync {
    /// At most `limit` entries from `from` on, in order.
    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Row>, Error>;

    /// The signed checkpoint over exactly `size` entries.
    async fn checkpoint(&self, size: u64) -> Result<Option<String>, Error>;

    /// A full tile, if it is stored.
    async fn tile(&self, id: TileId) -> Result<Option<Tile>, Error>;

    async fn close(&self);
}

impl dyn Reader + '_ {
    /// One entry, if the log has it.
    pub(crate) async fn entry(&self, index: u64) -> Result<Option<Row>, Error> {
        let rows = self.entries(index, 1).await?;
        Ok(rows.into_iter().find(|row| row.index == index))
    }
}

/// The query index: filled behind the log, and never more than a help to find what the log says.
#[async_trait]
pub(crate) trait Index: Send + Sync {
    /// Takes in the next entries; `false` when there were none. An index of another history than the log's is emptied first.
    async fn step(&self, log: &dyn Reader) -> Result<bool, Error>;

    /// At most `limit` positions of entries that match, from `from` on, in order; and the position up to which the index
    /// reaches.
    async fn find(
        &self,
        log: &dyn Reader,
        filter: &Filter,
        from: u64,
        limit: u32,
    ) -> Result<(Vec<u64>, u64), Error>;

    /// The position up to which the index reaches; 0 for an index of another history than the log's.
    async fn reach(&self, log: &dyn Reader) -> Result<u64, Error>;

    async fn close(&self);
}

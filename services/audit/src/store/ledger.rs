//! The writer's memory: the head, the tenants' numbers and the key, between one group of appends and the next.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use harombe_sql::Error as SqlError;
use harombe_tlog::{SigningKey, Tile, VerifyingKey};
use tokio::sync::watch;

use super::group::{Known, NewRow, Plan};
use super::snapshot::{self, State};
use super::{Head, Snapshot};
use crate::Error;
use crate::domain::Draft;
use crate::metrics::Numbers;

/// The event id is in the log already, and belongs to another event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken;

/// Where the events of one append stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Appended {
    /// One for each event, in the order sent.
    pub(crate) indexes: Vec<u64>,
    /// Positions of events that were recorded before under another number.
    pub(crate) recorded_before: Vec<u32>,
}

pub(super) type Reply = Result<Appended, Taken>;

/// Everything that one commit adds to a log.
pub(super) struct Addition {
    /// Entries that the log must have before it.
    pub(super) base: u64,
    pub(super) rows: Vec<NewRow>,
    pub(super) tiles: Vec<Tile>,
    pub(super) tenants: HashMap<String, u64>,
    pub(super) head: Arc<Head>,
}

/// What became of an [`Addition`].
pub(super) enum Outcome {
    Written,
    /// Nothing was written: an event of it is in the log already.
    Repeated,
    /// Nothing was written: the log does not end where the addition begins.
    Moved,
}

/// The tables of a log, as the one who appends sees them.
#[async_trait]
pub(super) trait Target: Send {
    /// Writes an addition whole or not at all.
    async fn add(&mut self, addition: Addition) -> Result<Outcome, SqlError>;

    /// Which of the events are in the log already.
    async fn known(&mut self, drafts: &[Vec<Draft>]) -> Result<Known, SqlError>;

    fn rows(&mut self) -> &mut dyn Snapshot;
}

/// How often one group is worked out anew: once for what somebody else wrote, once for what is in the log already, and
/// once more for both at the same time.
const ATTEMPTS: usize = 4;

/// What the last commit left, and what becomes true with the next.
pub(super) struct Ledger {
    key: SigningKey,
    head: watch::Sender<Arc<Head>>,
    /// The last sequence number of each tenant.
    tenants: HashMap<String, u64>,
    pending: Option<Pending>,
    numbers: Numbers,
}

struct Pending {
    begun: Instant,
    head: Arc<Head>,
    tenants: HashMap<String, u64>,
}

impl Ledger {
    pub(super) fn new(
        key: SigningKey,
        head: watch::Sender<Arc<Head>>,
        tenants: HashMap<String, u64>,
        numbers: Numbers,
    ) -> Self {
        Self {
            key,
            head,
            tenants,
            pending: None,
            numbers,
        }
    }

    /// Gives the new events of a group their places and writes them under one signed checkpoint. Ids are looked up only
    /// when one turns out to be in the log: repetitions are rare, and a lookup for every event costs all of them.
    pub(super) async fn append(
        &mut self,
        target: &mut dyn Target,
        jobs: &[Vec<Draft>],
    ) -> Result<Vec<Reply>, SqlError> {
        let begun = Instant::now();
        let mut known = Known::new();
        for _ in 0..ATTEMPTS {
            let base = self.head();
            let plan =
                Plan::new(base.tree().clone(), &self.tenants, jobs, &known).map_err(SqlError::handler)?;
            if plan.rows.is_empty() {
                return Ok(plan.replies);
            }
            let head = Arc::new(Head::sign(plan.tree, &self.key).map_err(SqlError::handler)?);
            let pending = Pending {
                begun,
                head: Arc::clone(&head),
                tenants: plan.tenants.clone(),
            };
            let addition = Addition {
                base: base.size(),
                rows: plan.rows,
                tiles: plan.tiles,
                tenants: plan.tenants,
                head,
            };
            match target.add(addition).await? {
                Outcome::Written => {
                    self.pending = Some(pending);
                    return Ok(plan.replies);
                }
                Outcome::Repeated => known = target.known(jobs).await?,
                Outcome::Moved => self.take_up(target.rows()).await?,
            }
        }
        Err(SqlError::handler(Contended))
    }

    /// The database decides what is true, not what this process remembers: a commit whose failure was reported may be
    /// there after all, and another process with the same key may have appended.
    async fn take_up(&mut self, rows: &mut dyn Snapshot) -> Result<(), SqlError> {
        let state = self.state(rows).await.map_err(Error::into_store)?;
        self.resume(state);
        Ok(())
    }

    /// The state of the log, which must continue the one that this process knows: a log that was put back while it is
    /// written to is not gone on with.
    pub(super) async fn state(&self, rows: &mut dyn Snapshot) -> Result<State, Error> {
        let known = self.head();
        if known.size() > 0 {
            let stored = rows.checkpoint(known.size()).await;
            let stored = stored.map_err(|error| Error::Store(error.into()))?;
            if stored.as_deref() != Some(known.note()) {
                return Err(Error::Damaged(format!(
                    "the checkpoint that was signed over {} entries is not there any more",
                    known.size()
                )));
            }
        }
        snapshot::state(rows, &self.key).await
    }

    /// Goes on from `state`.
    pub(super) fn resume(&mut self, state: State) {
        self.head.send_replace(Arc::new(state.head));
        self.tenants = state.tenants;
        self.pending = None;
    }

    /// The last group is durable.
    pub(super) fn committed(&mut self) {
        if let Some(Pending { begun, head, tenants }) = self.pending.take() {
            let added = head.size().saturating_sub(self.head().size());
            self.numbers.committed(added, begun.elapsed());
            self.tenants.extend(tenants);
            self.head.send_replace(head);
        }
    }

    /// The head that was last taken up or committed.
    pub(super) fn head(&self) -> Arc<Head> {
        Arc::clone(&self.head.borrow())
    }

    pub(super) fn verifying_key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    /// Nothing of the last group is known to be there.
    pub(super) fn rolled_back(&mut self) {
        self.pending = None;
    }
}

/// Others write to the log at the same time, which only its one writer may.
#[derive(Debug, thiserror::Error)]
#[error("the log changed under its writer")]
struct Contended;

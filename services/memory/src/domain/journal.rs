//! Leases and journals of runs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::try_unfold;
use harombe_proto::memory::v1::JournalEntry;
use harombe_proto::types::v1::RunEvent;
use harombe_types::{Clock, RunId, RunPrincipal, Timestamp};

use super::follow::Waiter;
use crate::domain::{
    Follow, Header, Held, Lease, Owner, Progress, Renewal, Room, Run, RunState, check, decode_entry,
    encode_entries,
};
use crate::error::Error;
use crate::metrics::{Leased, Numbers, Watching};
use crate::store::Store;

/// Read at once; with one entry of the largest kind, a stream holds some 4 MiB.
const PAGE: Room = Room {
    entries: 64,
    bytes: 1 << 20,
};

/// Whether a run's token still lets somebody act for the run.
pub(crate) trait Validity: Send + Sync {
    fn is_valid(&self, token: &str, now: Timestamp) -> bool;
}

/// The use cases of a run's journal. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Journal {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tokens: Arc<dyn Validity>,
    pub(super) follow: Follow,
    pub(super) lease: Duration,
    pub(super) numbers: Numbers,
}

impl Journal {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        tokens: Arc<dyn Validity>,
        follow: Follow,
        lease: Duration,
        numbers: Numbers,
    ) -> Self {
        Self {
            store,
            clock,
            tokens,
            follow,
            lease,
            numbers,
        }
    }

    /// The time by which leases are.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How long a lease lasts from when it is given or renewed.
    pub(crate) fn ttl(&self) -> Duration {
        self.lease
    }

    pub(crate) async fn acquire(&self, run: &RunPrincipal) -> Result<(Lease, u64), Error> {
        let now = self.clock.now();
        let acquired = self.store.acquire_lease(run, now, now.plus(self.lease)).await?;
        self.numbers.lease(Leased::Acquired);
        Ok(acquired)
    }

    /// What became of each, in the order given.
    pub(crate) async fn renew(&self, leases: Vec<Held>) -> Result<Vec<Renewal>, Error> {
        check::renewals(leases.len())?;
        let expires = self.clock.now().plus(self.lease);
        let renewed = self.store.renew_leases(leases, expires).await?;
        for renewal in &renewed {
            self.numbers.renewal(*renewal);
        }
        Ok(renewed)
    }

    pub(crate) async fn release(&self, run: &RunPrincipal, epoch: u64) -> Result<(), Error> {
        self.store.release_lease(run, epoch, self.clock.now()).await?;
        self.numbers.lease(Leased::Released);
        Ok(())
    }

    /// Counts the runs that are under way.
    ///
    /// # Errors
    /// The store is away.
    pub(crate) async fn measure(&self) -> Result<(), Error> {
        self.numbers
            .set_active(self.store.active(self.clock.now()).await?);
        Ok(())
    }

    pub(crate) async fn append(
        &self,
        run: &RunPrincipal,
        epoch: u64,
        expected_cursor: u64,
        entries: Vec<JournalEntry>,
    ) -> Result<Progress, Error> {
        if entries.is_empty() {
            return Err(Error::Invalid(
                "entries must not be empty; RenewLeases keeps a lease".to_owned(),
            ));
        }
        check::entries(&entries)?;
        let written = entries.len();
        let progress = self
            .store
            .append(
                run,
                epoch,
                expected_cursor,
                encode_entries(entries),
                self.clock.now(),
            )
            .await
            .inspect_err(|error| self.numbers.failed_write(error))?;
        self.numbers.entries_written(written);
        self.follow.publish(run.run);
        Ok(progress)
    }

    pub(crate) async fn header(&self, run: &RunPrincipal) -> Result<Header, Error> {
        self.store.header(run).await
    }

    pub(crate) async fn get(&self, owner: &Owner, run: RunId) -> Result<Run, Error> {
        self.store.run(owner, run).await
    }

    pub(crate) async fn request_cancel(&self, run: &RunPrincipal, reason: &str) -> Result<RunState, Error> {
        check::cancel_reason(reason)?;
        self.store.request_cancel(run, reason).await
    }

    /// The entries after a cursor, as far as they go now.
    pub(crate) fn read(
        &self,
        run: &RunPrincipal,
        after: u64,
    ) -> impl Stream<Item = Result<Vec<JournalEntry>, Error>> + Send + use<> {
        let store = Arc::clone(&self.store);
        let owner = Owner {
            tenant: run.tenant.clone(),
            subject: run.subject.clone(),
        };
        let run = run.run;
        try_unfold(Some(after), move |after| {
            let (store, owner) = (Arc::clone(&store), owner.clone());
            async move {
                let Some(after) = after else { return Ok(None) };
                let page = store.entries(&owner, run, after, PAGE).await?;
                let next = page.last().map(|entry| entry.cursor);
                let page = page
                    .into_iter()
                    .map(|entry| decode_entry(run, entry))
                    .collect::<Result<_, _>>()?;
                Ok(Some((page, next)))
            }
        })
    }

    /// The events after a cursor, then new ones as they are written, until the run has ended.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the run is not this owner's.
    pub(crate) async fn watch(&self, owner: Owner, run: RunId, after: u64) -> Result<Followed, Error> {
        self.store.run(&owner, run).await?;
        let waiter = self.follow.subscribe(&owner.tenant, run);
        Ok(Followed {
            store: Arc::clone(&self.store),
            waiter,
            owner,
            run,
            after,
            _counted: self.numbers.watching(),
        })
    }
}

/// A run that is being watched.
pub(crate) struct Followed {
    store: Arc<dyn Store>,
    waiter: Waiter,
    owner: Owner,
    run: RunId,
    after: u64,
    _counted: Watching,
}

impl Followed {
    /// The next events; `None` when the run has ended and all were returned.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<RunEvent>>, Error> {
        loop {
            // state before journal: a run that had ended has no entries that this read could miss
            let ended = self.store.run(&self.owner, self.run).await?.state != RunState::Active;
            let page = self
                .store
                .entries(&self.owner, self.run, self.after, PAGE)
                .await?;
            if let Some(last) = page.last() {
                self.after = last.cursor;
                let entries = page
                    .into_iter()
                    .map(|entry| decode_entry(self.run, entry))
                    .collect::<Result<Vec<_>, _>>()?;
                let events: Vec<RunEvent> = entries.into_iter().filter_map(|entry| entry.event).collect();
                if !events.is_empty() {
                    return Ok(Some(events));
                }
            } else if ended {
                return Ok(None);
            } else {
                self.waiter.news().await;
            }
        }
    }
}

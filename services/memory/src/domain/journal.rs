//! Leases and journals of runs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::try_unfold;
use harombe_proto::memory::v1::JournalEntry;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, RunFailed};
use harombe_types::{Clock, RunId, RunPrincipal, Timestamp};

use super::follow::Waiter;
use crate::domain::{
    Claimed, Expired, Follow, Header, Lease, Owner, Progress, Run, RunState, check, decode_entry,
    encode_entries,
};
use crate::error::Error;
use crate::store::Store;

const CLAIM_DEFAULT: u32 = 16;
const CLAIM_MAX: u32 = 256;
/// Entries read at once.
const PAGE: u32 = 64;

/// Whether a run's token still lets somebody act for the run.
pub(crate) trait Validity: Send + Sync {
    fn is_valid(&self, token: &str, now: Timestamp) -> bool;
}

/// The use cases of a run's journal. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Journal {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tokens: Arc<dyn Validity>,
    follow: Follow,
    lease: Duration,
}

impl Journal {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        tokens: Arc<dyn Validity>,
        follow: Follow,
        lease: Duration,
    ) -> Self {
        Self {
            store,
            clock,
            tokens,
            follow,
            lease,
        }
    }

    pub(crate) async fn acquire(&self, run: &RunPrincipal) -> Result<(Lease, u64), Error> {
        let now = self.clock.now();
        self.store.acquire_lease(run, now, now.plus(self.lease)).await
    }

    pub(crate) async fn renew(&self, run: &RunPrincipal, epoch: u64) -> Result<(Lease, Progress), Error> {
        self.store
            .renew_lease(run, epoch, self.clock.now().plus(self.lease))
            .await
    }

    pub(crate) async fn release(&self, run: &RunPrincipal, epoch: u64) -> Result<(), Error> {
        self.store.release_lease(run, epoch, self.clock.now()).await
    }

    /// Takes over runs whose lease has expired. A run whose token is no longer valid has passed its wall limit:
    /// it is failed instead, as nobody could act for it.
    pub(crate) async fn claim(&self, limit: u32) -> Result<Vec<Claimed>, Error> {
        let limit = match limit {
            0 => CLAIM_DEFAULT,
            limit => limit.min(CLAIM_MAX),
        };
        let mut claimed = Vec::new();
        for expired in self.store.expired(self.clock.now(), limit).await? {
            let now = self.clock.now();
            if !self.may_go_on(&expired) {
                self.fail(&expired).await?;
            } else if let Some(run) = self.store.claim(&expired, now, now.plus(self.lease)).await? {
                claimed.push(run);
            }
        }
        Ok(claimed)
    }

    /// Fails the runs that nobody drives and nobody may drive any more.
    pub(crate) async fn fail_overdue(&self) -> Result<(), Error> {
        for expired in self.store.expired(self.clock.now(), CLAIM_MAX).await? {
            if !self.may_go_on(&expired) {
                self.fail(&expired).await?;
            }
        }
        Ok(())
    }

    fn may_go_on(&self, run: &Expired) -> bool {
        self.tokens.is_valid(&run.token, self.clock.now())
    }

    async fn fail(&self, expired: &Expired) -> Result<(), Error> {
        let failed = RunFailed {
            reason: harombe_error::Reason::TimeLimit.to_string(),
            message: "the run reached its time limit; send the message again to start a new one".to_owned(),
        };
        let event = RunEvent {
            event: Some(Event::RunFailed(failed)),
            ..RunEvent::default()
        };
        let entry = JournalEntry {
            event: Some(event),
            ..JournalEntry::default()
        };
        self.store
            .fail(expired, encode_entries(vec![entry]), self.clock.now())
            .await?;
        tracing::info!(run = %expired.run, "a run without a driver passed its time limit");
        self.follow.publish(expired.run);
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
                "entries must not be empty; RenewLease keeps a lease".to_owned(),
            ));
        }
        check::entries(&entries)?;
        let progress = self
            .store
            .append(
                run,
                epoch,
                expected_cursor,
                encode_entries(entries),
                self.clock.now(),
            )
            .await?;
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

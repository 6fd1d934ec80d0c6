//! What hitl must not forget: requests, decisions, and which calls were given away.

mod columns;
mod open;
mod postgres;
mod rows;
mod sqlite;
mod statements;

#[cfg(test)]
mod contract;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use harombe_sql::Error;
use harombe_types::{ApprovalId, CallId, Clock, RunId, Subject, Tenant, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::{Added, Approval, Decided, Decision, Kept, Order, PendingLimits, Position, Redemption};

pub(crate) use open::{Opened, open};

/// For how long after its deadline a request that has no decision counts as one that waits.
const GRACE: Duration = Duration::from_secs(60 * 60);

/// The state of hitl. Every write is durable before it is acknowledged.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Keeps the request, unless its call has one already or as many wait as may: whoever else asks at the same time, at
    /// whichever process, there are never more. One that has no decision an hour after its deadline is not counted.
    async fn add_approval(&self, approval: Approval, most: PendingLimits) -> Result<Added, Error>;

    /// The request of that id in that tenant.
    async fn approval(&self, tenant: &Tenant, id: ApprovalId) -> Result<Option<Approval>, Error>;

    /// The request that was made for a call.
    async fn approval_of(&self, tenant: &Tenant, run: RunId, call: CallId)
    -> Result<Option<Approval>, Error>;

    /// The requests of the tenant that are in that page, in its order.
    async fn approvals(&self, tenant: &Tenant, page: Page) -> Result<Vec<Approval>, Error>;

    /// Keeps the decision if there is none yet; a person's only if the deadline is still ahead by `clock`, which is asked
    /// when the statement is executed, however long that has waited. Returns the request with the decision that is kept:
    /// with none when this one came too late. `None` if there is no such request.
    async fn decide(
        &self,
        tenant: &Tenant,
        id: ApprovalId,
        decided: Decided,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Approval>, Error>;

    /// Keeps the redemption unless its call has one; returns the one that is kept.
    async fn redeem(&self, redemption: Redemption) -> Result<Redemption, Error>;

    /// The redemption of a call.
    async fn redemption(
        &self,
        tenant: &Tenant,
        run: RunId,
        call: CallId,
    ) -> Result<Option<Redemption>, Error>;

    /// Remembers that these audit events are in the log.
    async fn mark(&self, recorded: Vec<Mark>) -> Result<(), Error>;

    /// Known requests of all tenants without an effective decision, newest first.
    async fn open_requests(&self, limit: u32) -> Result<Vec<(Tenant, ApprovalId)>, Error>;

    /// How many known requests of all tenants nobody has decided, and when the oldest of them was made.
    async fn waiting(&self) -> Result<(u64, Option<Timestamp>), Error>;

    /// Undecided requests whose deadline is not after `now`, of all tenants, in the order of their ids beyond `after`.
    async fn overdue(
        &self,
        now: Timestamp,
        after: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<(Tenant, ApprovalId)>, Error>;

    /// Requests of all tenants, theirs or their decision's audit event not known to be in the log, in the order of their
    /// ids beyond `after`.
    async fn unrecorded_approvals(
        &self,
        after: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<(Tenant, ApprovalId)>, Error>;

    /// Calls of all tenants whose redemption was made before `before` and is not known to be in the log, in the order of
    /// their names beyond `after`.
    async fn unrecorded_redemptions(
        &self,
        before: Timestamp,
        after: Option<CallName>,
        limit: u32,
    ) -> Result<Vec<CallName>, Error>;

    /// Removes requests, at most so many, that were decided before `before` and whose audit events are both in the log; how
    /// many. Redemptions stay for ever.
    async fn remove_decided(&self, before: Timestamp, limit: u32) -> Result<u64, Error>;

    /// What runs of the subject have asked people, in the order of the ids beyond `after`.
    async fn requests_of(
        &self,
        tenant: &Tenant,
        subject: &Subject,
        after: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<Kept>, Error>;

    /// Erases these of the subject's requests, whatever has become of them; how many there were. Redemptions stay for ever. In
    /// a file their bytes are overwritten.
    async fn erase_requests(
        &self,
        tenant: &Tenant,
        subject: &Subject,
        requests: &[ApprovalId],
    ) -> Result<u64, Error>;

    /// Does what erasing has left to do later, if it has left anything.
    async fn finish_erasing(&self);

    /// Finishes what waits and lets the database go.
    async fn close(&self);
}

/// The other processes that work on the same store. What they are told may get lost.
#[async_trait]
pub trait Peers: Send + Sync + 'static {
    /// Tells them that a request has become known, or has been decided. Never waits.
    fn tell(&self, tenant: &Tenant, id: ApprovalId);

    /// Hands on what they tell, until it is stopped.
    async fn listen(&self, stop: &CancellationToken, news: mpsc::Sender<News>);
}

/// What a peer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// This request has changed.
    Of(Tenant, ApprovalId),
    /// Something may have been missed.
    Missed,
}

/// Which requests to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those without a decision.
    Pending,
    /// All.
    All,
}

/// A part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub which: Which,
    pub order: Order,
    /// Only what comes after it.
    pub after: Option<Position>,
    /// Most requests.
    pub limit: u32,
    /// The request with which the calls have so many bytes together is the last.
    pub bytes: usize,
}

impl Page {
    /// The place beyond which it begins, as columns.
    fn beyond(&self) -> (i64, String) {
        match (self.after, self.order) {
            (Some(Position { at, id }), _) => (at.as_millis(), id.to_string()),
            (None, Order::NewestFirst) => (i64::MAX, String::new()),
            (None, Order::OldestFirst) => (i64::MIN, String::new()),
        }
    }

    fn most_bytes(&self) -> i64 {
        i64::try_from(self.bytes).unwrap_or(i64::MAX)
    }
}

/// The tenant and run of a call, and which.
pub(crate) type CallName = (Tenant, RunId, CallId);

/// An audit event that is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Of a request.
    Request(ApprovalId),
    /// Of its decision.
    Decision(ApprovalId),
    /// Of a call's redemption.
    Redemption(Tenant, RunId, CallId),
}

/// A call's name as columns; none comes before all.
fn call_texts(name: Option<CallName>) -> [String; 3] {
    name.map_or_else(Default::default, |(tenant, run, call)| {
        [tenant.to_string(), run.to_string(), call.to_string()]
    })
}

/// What the deadline of a request must be later than to take a place that a new one could have. Most are decided by their
/// deadline, a few later; one that cannot be decided (it is damaged, or audit refuses it) does not take its place for ever.
fn counts_after(new: &Approval) -> i64 {
    let grace = i64::try_from(GRACE.as_millis()).unwrap_or(i64::MAX);
    new.requested_at.as_millis().saturating_sub(grace)
}

/// What the deadline must be later than for the decision to be kept now: a person decides before it, its own passing is
/// recorded whenever it is noticed.
fn lands_before(decided: &Decided, clock: &dyn Clock) -> i64 {
    match decided.decision {
        Decision::Approved | Decision::Denied => clock.now().as_millis(),
        Decision::Expired => i64::MIN,
    }
}

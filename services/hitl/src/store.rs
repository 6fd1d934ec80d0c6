//! What hitl must not forget: requests, decisions, and which calls were given away.

mod columns;
mod open;
mod postgres;
mod rows;
mod sqlite;

#[cfg(test)]
mod contract;

use async_trait::async_trait;
use harombe_sql::Error;
use harombe_types::{ApprovalId, CallId, RunId, Tenant, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::{Approval, Decided, Redemption};

pub(crate) use open::{Opened, open};

/// The state of hitl. Every write is durable before it is acknowledged.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Keeps the request, unless its call has one; returns the one that is kept.
    async fn add_approval(&self, approval: Approval) -> Result<Approval, Error>;

    /// The request of that id in that tenant.
    async fn approval(&self, tenant: &Tenant, id: ApprovalId) -> Result<Option<Approval>, Error>;

    /// The request that was made for a call.
    async fn approval_of(&self, tenant: &Tenant, run: RunId, call: CallId)
    -> Result<Option<Approval>, Error>;

    /// At most `limit` requests of the tenant, newest first.
    async fn approvals(&self, tenant: &Tenant, which: Which, limit: u32) -> Result<Vec<Approval>, Error>;

    /// Keeps the decision if there is none yet; returns the request with the decision that is kept, `None` if there
    /// is no such request.
    async fn decide(
        &self,
        tenant: &Tenant,
        id: ApprovalId,
        decided: Decided,
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

    /// Undecided requests whose deadline is not after `now`, of all tenants.
    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<Approval>, Error>;

    /// Requests of all tenants, theirs or their decision's audit event not known to be in the log.
    async fn unrecorded_approvals(&self, limit: u32) -> Result<Vec<Approval>, Error>;

    /// Redemptions of all tenants that were made before `before` and are not known to be in the log.
    async fn unrecorded_redemptions(&self, before: Timestamp, limit: u32) -> Result<Vec<Redemption>, Error>;

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

/// An audit event that is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Of a request.
    Request(ApprovalId),
    /// Of its decision.
    Decision(ApprovalId),
    /// Of a call's redemption.
    Redemption(Tenant, RunId, CallId),
}

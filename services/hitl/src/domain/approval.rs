//! A call that waits for a person, and what became of it.

use std::fmt;
use std::str::FromStr;

use harombe_canonical::CanonicalCall;
use harombe_types::{
    AgentName, ApprovalId, EventId, Principal, Risk, RunId, RunPrincipal, SessionId, Subject, Tenant,
    Timestamp,
};

/// A request for a decision, with the decision once there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub id: ApprovalId,
    /// The run that asks, and on whose behalf.
    pub run: RunPrincipal,
    /// Exactly what will be done.
    pub call: CanonicalCall,
    pub risk: Risk,
    /// One sentence each, gravest first.
    pub reasons: Vec<String>,
    pub policy_version: String,
    pub requested_at: Timestamp,
    /// After this moment the call is denied.
    pub deadline: Timestamp,
    /// The audit event of the request.
    pub event: EventId,
    /// Whether that event is in the log: before it is, nobody is told of the request.
    pub recorded: bool,
    pub decided: Option<Decided>,
}

impl Approval {
    /// The decision, if it may be acted on: one whose audit event is not in the log does not exist for anyone.
    #[must_use]
    pub fn effective(&self) -> Option<&Decided> {
        self.decided.as_ref().filter(|decided| decided.recorded)
    }

    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.run.tenant
    }

    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.run.run
    }

    #[must_use]
    pub fn session(&self) -> SessionId {
        self.run.session
    }

    #[must_use]
    pub fn agent(&self) -> &AgentName {
        &self.run.agent
    }

    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal::Run(self.run.clone())
    }
}

/// That a request has become known, or has been decided. It names the request and does not hold it: requests are as large
/// as what they ask for, and many changes wait for slow readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub tenant: Tenant,
    pub id: ApprovalId,
    /// What was decided, once that may be acted on.
    pub decision: Option<Decision>,
}

impl Change {
    /// To what the request is now.
    #[must_use]
    pub fn of(approval: &Approval) -> Self {
        Self {
            tenant: approval.tenant().clone(),
            id: approval.id,
            decision: approval.effective().map(|decided| decided.decision),
        }
    }

    /// To nothing: it is erased. Whatever was decided, nothing can come of it any more.
    #[must_use]
    pub fn gone(tenant: &Tenant, id: ApprovalId) -> Self {
        Self {
            tenant: tenant.clone(),
            id,
            decision: Some(Decision::Denied),
        }
    }
}

/// A decision and its circumstances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub decision: Decision,
    /// Nobody, when the deadline decided.
    pub by: Option<Subject>,
    /// Decided by the person whose run asked.
    pub own: bool,
    /// Decided by a program with nobody watching.
    pub unattended: bool,
    pub comment: String,
    pub at: Timestamp,
    /// The audit event of the decision; a second attempt to record it uses the same id.
    pub event: EventId,
    /// Whether that event is in the log.
    pub recorded: bool,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Approved,
    Denied,
    /// Nobody decided before the deadline.
    Expired,
}

impl Decision {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Decision {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Approved, Self::Denied, Self::Expired]
            .into_iter()
            .find(|d| d.as_str() == text)
            .ok_or(())
    }
}

//! A grant that was spent.

use harombe_grant::Grant;
use harombe_types::{CallId, EventId, GrantId, RunPrincipal, ServiceName, Timestamp};

/// That a call was given away to be performed: at most one per (tenant, run, call), for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redemption {
    pub run: RunPrincipal,
    pub call: CallId,
    pub tool: String,
    pub digest: [u8; 32],
    pub grant: GrantId,
    pub redeemer: ServiceName,
    pub policy_version: String,
    pub at: Timestamp,
    /// Its audit event.
    pub event: EventId,
    /// Whether that event is known to be in the log.
    pub recorded: bool,
}

impl Redemption {
    /// The spending of `grant` by its audience.
    #[must_use]
    pub fn of(grant: &Grant, at: Timestamp, event: EventId) -> Self {
        Self {
            run: run_of(grant),
            call: grant.call,
            tool: grant.tool.clone(),
            digest: grant.digest,
            grant: grant.id,
            redeemer: grant.audience,
            policy_version: grant.policy_version.clone(),
            at,
            event,
            recorded: false,
        }
    }
}

/// The run that a grant was made for.
#[must_use]
pub(super) fn run_of(grant: &Grant) -> RunPrincipal {
    RunPrincipal {
        tenant: grant.tenant.clone(),
        subject: grant.subject.clone(),
        agent: grant.agent.clone(),
        session: grant.session,
        run: grant.run,
    }
}

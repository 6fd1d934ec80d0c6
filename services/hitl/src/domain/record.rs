//! What hitl writes into the audit log, in one place, so that a repeated event says the same as the first.

use harombe_canonical::{CanonicalCall, Digest};
use harombe_grant::Grant;
use harombe_trail::{Event, Kind, Outcome};
use harombe_types::{Person, Principal, Risk, RunPrincipal, ServiceName, Subject};
use serde_json::{Value, json};

use super::{Approval, Decided, Decision, Redemption};

/// Longer calls are recorded by their digest alone.
const MAX_CALL: usize = 64 * 1024;

/// A grant was made.
pub(super) fn authorized(run: &RunPrincipal, grant: &Grant, risk: Risk, call: &CanonicalCall) -> Event {
    let details = json!({
        "tool": grant.tool,
        "risk": risk,
        "grant": grant.id,
        "audience": grant.audience,
        "approvers": grant.approvers,
        "digest": Digest(grant.digest).to_string(),
        "args": shown(call),
    });
    Event::new(Kind::CallAuthorized, &run.tenant)
        .principal(&Principal::Run(run.clone()))
        .call(grant.call)
        .policy_version(grant.policy_version.as_str())
        .details(details)
}

/// A person is asked.
pub(super) fn requested(approval: &Approval) -> Event {
    let details = json!({
        "tool": approval.call.tool(),
        "risk": approval.risk,
        "reasons": approval.reasons,
        "deadline": approval.deadline.to_string(),
        "digest": approval.call.digest().to_string(),
        "args": shown(&approval.call),
    });
    about(Kind::ApprovalRequested, approval)
        .id(approval.event)
        .at(approval.requested_at)
        .details(details)
}

/// A person, or the deadline, has decided.
pub(super) fn decided(approval: &Approval, decided: &Decided) -> Event {
    let details = json!({
        "tool": approval.call.tool(),
        "risk": approval.risk,
        "decision": decided.decision.as_str(),
        "by": decided.by,
        "self": decided.own,
        "unattended": decided.unattended,
        "comment": decided.comment,
        "digest": approval.call.digest().to_string(),
    });
    let outcome = match decided.decision {
        Decision::Approved => Outcome::Ok,
        Decision::Denied => Outcome::Denied,
        Decision::Expired => Outcome::Expired,
    };
    about(Kind::ApprovalDecided, approval)
        .id(decided.event)
        .at(decided.at)
        .outcome(outcome)
        .details(details)
}

/// A grant was spent.
pub(super) fn redeemed(redemption: &Redemption) -> Event {
    let details = json!({
        "tool": redemption.tool,
        "grant": redemption.grant,
        "redeemer": redemption.redeemer,
        "digest": Digest(redemption.digest).to_string(),
    });
    Event::new(Kind::GrantRedeemed, &redemption.run.tenant)
        .principal(&Principal::Run(redemption.run.clone()))
        .call(redemption.call)
        .policy_version(redemption.policy_version.as_str())
        .id(redemption.event)
        .at(redemption.at)
        .details(details)
}

/// A grant was not honoured. `grant` is given when its signature is ours.
pub(super) fn refused(event: Event, redeemer: ServiceName, reason: &str, grant: Option<&Grant>) -> Event {
    let details = json!({
        "redeemer": redeemer,
        "reason": reason,
        "tool": grant.map(|grant| &grant.tool),
        "grant": grant.map(|grant| grant.id),
        "digest": grant.map(|grant| Digest(grant.digest).to_string()),
    });
    event.outcome(Outcome::Denied).details(details)
}

/// An admin has so many requests erased that runs of a person made. It is about the admin, so that it can be read when what
/// opens the person's events is gone.
pub(super) fn erased(admin: &Person, subject: &Subject, approvals: usize) -> Event {
    Event::new(Kind::ApprovalErased, &admin.tenant)
        .principal(&Principal::Person(admin.clone()))
        .details(json!({ "subject": subject, "approvals": approvals }))
}

/// Whoever decided is in the details; the event is the run's, so that its story can be read in one query.
fn about(kind: Kind, approval: &Approval) -> Event {
    let event = Event::new(kind, approval.tenant())
        .principal(&approval.principal())
        .approval(approval.id)
        .policy_version(approval.policy_version.as_str());
    match approval.call.call().parse() {
        Ok(call) => event.call(call),
        Err(_) => event,
    }
}

fn shown(call: &CanonicalCall) -> Value {
    if call.bytes().len() > MAX_CALL {
        json!({ "bytes": call.bytes().len() })
    } else {
        call.args().clone()
    }
}

/// Whether the person asks for a decision about their own run.
pub(super) fn is_own(person: &Person, approval: &Approval) -> bool {
    person.subject == approval.run.subject
}

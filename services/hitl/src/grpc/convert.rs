//! Between messages and the domain's values.

use harombe_proto::hitl::v1 as proto;
use harombe_proto::types::v1 as types;
use harombe_types::{ApprovalId, Risk};

use crate::Error;
use crate::domain::{Approval, Authorized, Choice, Decided, Decision, Outcome, Position, WHY};

pub(super) fn risk(risk: Risk) -> types::Risk {
    match risk {
        Risk::Low => types::Risk::Low,
        Risk::Medium => types::Risk::Medium,
        Risk::High => types::Risk::High,
        Risk::Critical => types::Risk::Critical,
    }
}

/// The model's opinion, if it has one. A number that we do not know is an opinion we cannot weigh: refuse it.
pub(super) fn claimed(value: i32) -> Result<Option<Risk>, Error> {
    match types::Risk::try_from(value) {
        Ok(types::Risk::Unspecified) => Ok(None),
        Ok(types::Risk::Low) => Ok(Some(Risk::Low)),
        Ok(types::Risk::Medium) => Ok(Some(Risk::Medium)),
        Ok(types::Risk::High) => Ok(Some(Risk::High)),
        Ok(types::Risk::Critical) => Ok(Some(Risk::Critical)),
        Err(_) => Err(Error::Argument(
            "model_risk is not a risk that this version knows",
        )),
    }
}

pub(super) fn decision(decision: Decision) -> types::Decision {
    match decision {
        Decision::Approved => types::Decision::Approved,
        Decision::Denied => types::Decision::Denied,
        Decision::Expired => types::Decision::Expired,
    }
}

pub(super) fn choice(request: proto::DecideRequest) -> Result<Choice, Error> {
    let approve = match types::Decision::try_from(request.decision) {
        Ok(types::Decision::Approved) => true,
        Ok(types::Decision::Denied) => false,
        _ => return Err(Error::Argument("decision must be APPROVED or DENIED")),
    };
    Ok(Choice {
        approve,
        unattended: request.unattended,
        comment: request.comment,
    })
}

/// Where a list goes on; an empty token is its beginning.
pub(super) fn position(page_token: &str) -> Result<Option<Position>, Error> {
    Some(page_token)
        .filter(|token| !token.is_empty())
        .map(str::parse)
        .transpose()
}

/// A decision whose audit event is not in the log is not shown.
pub(super) fn approval(approval: &Approval) -> proto::Approval {
    let decided = approval.effective();
    proto::Approval {
        approval_id: approval.id.to_string(),
        run_id: approval.run_id().to_string(),
        session_id: approval.session().to_string(),
        call_id: approval.call.call().to_owned(),
        agent: approval.agent().to_string(),
        requested_by: approval.run.subject.to_string(),
        tool: approval.call.tool().to_owned(),
        arguments: approval.call.args().to_string(),
        risk: risk(approval.risk).into(),
        reasons: approval.reasons.clone(),
        requested_at: Some(approval.requested_at.into()),
        deadline: Some(approval.deadline.into()),
        decision: decided
            .map_or(types::Decision::Unspecified, |decided| decision(decided.decision))
            .into(),
        decided_by: decided
            .and_then(|decided| decided.by.as_ref())
            .map(ToString::to_string)
            .unwrap_or_default(),
        unattended: decided.is_some_and(|decided| decided.unattended),
        comment: decided.map(|decided| decided.comment.clone()).unwrap_or_default(),
    }
}

/// What is said to watchers of a request that has been erased since it was decided like this.
pub(super) fn gone(id: ApprovalId, decided: Decision) -> proto::Approval {
    proto::Approval {
        approval_id: id.to_string(),
        decision: decision(decided).into(),
        comment: WHY.to_owned(),
        ..proto::Approval::default()
    }
}

pub(super) fn authorized(authorized: Authorized) -> proto::AuthorizeResponse {
    use proto::authorize_response::Outcome as Wire;
    let outcome = match authorized.outcome {
        Outcome::Granted(grant) => Wire::Granted(proto::Granted { grant }),
        Outcome::Pending(approval) => Wire::Pending(proto::Pending {
            approval_id: approval.id.to_string(),
            deadline: Some(approval.deadline.into()),
        }),
        Outcome::AlreadyRedeemed => Wire::AlreadyRedeemed(proto::AlreadyRedeemed {}),
    };
    proto::AuthorizeResponse {
        risk: risk(authorized.risk).into(),
        reasons: authorized.reasons,
        outcome: Some(outcome),
    }
}

pub(super) fn waiting() -> proto::AwaitDecisionResponse {
    use proto::await_decision_response::Update;
    proto::AwaitDecisionResponse {
        update: Some(Update::Waiting(proto::Waiting {})),
    }
}

pub(super) fn decided(decided: Decided, grant: Option<String>) -> proto::AwaitDecisionResponse {
    use proto::await_decision_response::Update;
    let decided = proto::Decided {
        decision: decision(decided.decision).into(),
        decided_by: decided.by.map(String::from).unwrap_or_default(),
        unattended: decided.unattended,
        comment: decided.comment,
        grant: grant.unwrap_or_default(),
    };
    proto::AwaitDecisionResponse {
        update: Some(Update::Decided(decided)),
    }
}

/// What is said to a run whose request has been erased while it waited: nothing can come of it any more.
pub(super) fn erased() -> proto::AwaitDecisionResponse {
    use proto::await_decision_response::Update;
    let denied = proto::Decided {
        decision: types::Decision::Denied.into(),
        comment: WHY.to_owned(),
        ..proto::Decided::default()
    };
    proto::AwaitDecisionResponse {
        update: Some(Update::Decided(denied)),
    }
}

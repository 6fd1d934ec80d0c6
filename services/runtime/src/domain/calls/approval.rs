//! A call that waits for a person.

use std::time::Duration;

use harombe_error::{Failure, Reason};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{ApprovalDecided, ApprovalRequired, Decision as Verdict, Risk};
use harombe_types::Timestamp;
use tokio::sync::watch;

use super::{Calls, Finished};
use crate::domain::events::{Events, Stop};
use crate::domain::state::OpenCall;
use crate::peers::is_unreachable;

/// How long after an approval's deadline hitl may still be asked what became of it.
const AFTER_DEADLINE: Duration = Duration::from_secs(30);

/// Between two attempts to hear of a decision.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// One call that waits for a person.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl Calls {
    /// Waits for a person; the grant, or what the model is told instead.
    pub(super) async fn approval(
        &self,
        open: &OpenCall,
        approval: &str,
        (risk, reasons, deadline): (Risk, Vec<String>, Timestamp),
        events: &dyn Events,
    ) -> Result<Result<String, Finished>, Stop> {
        let (call_id, approval_id) = (open.call.id.to_string(), approval.to_owned());
        if !open.approval_shown {
            let event = ApprovalRequired {
                call_id: call_id.clone(),
                approval_id: approval_id.clone(),
                risk: risk.into(),
                reasons,
                deadline: Some(deadline.into()),
            };
            events.record(vec![Event::ApprovalRequired(event).into()]).await?;
        }
        let decided = match self.decision(approval, deadline).await {
            Ok(decided) => decided,
            Err(failure) => return Ok(Err(Finished::denied(failure.reason, failure.message))),
        };
        let decision = decided.decision();
        if !open.decision_shown {
            let event = ApprovalDecided {
                call_id,
                approval_id,
                decision: decision.into(),
                decided_by: decided.decided_by,
                unattended: decided.unattended,
                comment: decided.comment.clone(),
            };
            events.record(vec![Event::ApprovalDecided(event).into()]).await?;
        }
        Ok(match decision {
            Verdict::Approved => Ok(decided.grant),
            Verdict::Expired => {
                let text = "Nobody approved the call in time, so it was not made.";
                Err(Finished::denied(Reason::ApprovalExpired, text))
            }
            Verdict::Denied | Verdict::Unspecified => {
                let why = if decided.comment.is_empty() {
                    String::new()
                } else {
                    format!(": {}", decided.comment)
                };
                Err(Finished::denied(
                    Reason::ApprovalDenied,
                    format!("A person denied the call{why}."),
                ))
            }
        })
    }

    /// The decision, however often the stream has to be opened again.
    async fn decision(
        &self,
        approval: &str,
        deadline: Timestamp,
    ) -> Result<harombe_proto::hitl::v1::Decided, Failure> {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            match self.peers.hitl.await_decision(&self.token, approval).await {
                Err(failure)
                    if is_unreachable(&failure) && self.clock.now() < deadline.plus(AFTER_DEADLINE) =>
                {
                    tracing::debug!(run = %self.principal.run, error = %failure, "waiting for hitl");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                answer => return answer,
            }
        }
    }
}

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

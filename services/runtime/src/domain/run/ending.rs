//! How a run ends: its end is in the audit log before anybody is told, however long audit is away.

use std::time::Duration;

use harombe_error::{Failure, Reason};
use harombe_proto::memory::v1::RunState;
use harombe_proto::types::v1 as events;
use harombe_proto::types::v1::StopReason;
use harombe_proto::types::v1::run_event::Event;
use harombe_trail::{Outcome, PATIENCE};
use tokio::time::Instant;

use super::{Run, on_the_wire};
use crate::audit::{self, Ending};
use crate::domain::context;
use crate::domain::events::Stop;
use crate::domain::journal::End;
use crate::peers::is_unreachable;

/// What is said in a turn's place for a call that has no result.
const NO_RESULT: &str = "The run ended before this call was finished.";

/// How long after its time a run still waits for its end to be on record, whichever node has it then.
pub(super) const OVERTIME: Duration = Duration::from_secs(30);

/// Between two attempts to have the end recorded, while too much waits for that already.
const RECORD_AGAIN: Duration = Duration::from_secs(1);

impl Run {
    /// Ends the run in order.
    pub(super) async fn finish(&mut self, reason: StopReason, until: Instant) -> Result<(), Stop> {
        self.progress.close_calls(NO_RESULT);
        let messages = context::stored(&self.progress.said);
        let usage = Some(on_the_wire(self.progress.usage));
        let event = Event::RunFinished(events::RunFinished {
            stop_reason: reason.into(),
            usage,
        });
        let state = match reason {
            StopReason::Cancelled => RunState::Cancelled,
            _ => RunState::Finished,
        };
        let ending = reason.as_str_name().trim_start_matches("STOP_REASON_");
        let outcome = if state == RunState::Cancelled {
            Outcome::Cancelled
        } else {
            Outcome::Ok
        };
        self.record_end(outcome, ending, until).await?;
        let end = End {
            event,
            messages,
            state,
            saw_outside: self.saw_outside(),
        };
        self.journal.close(end).await?;
        self.numbers.ended(outcome.as_str(), ending);
        Ok(())
    }

    /// Ends a run that cannot go on.
    pub(super) async fn fail(&mut self, reason: Reason, message: String, until: Instant) -> Result<(), Stop> {
        self.record_end(Outcome::Failed, reason.as_str(), until).await?;
        self.close_failed(reason, message).await
    }

    /// Ends a run whose beginning audit did not take, and that no other node had before.
    pub(super) async fn not_begun(&mut self, reason: Reason, message: String) -> Result<(), Stop> {
        let ending = self.ending(Outcome::Failed, reason.as_str());
        audit::run_not_begun(&self.trail, &self.principal, ending);
        self.close_failed(reason, message).await
    }

    /// Ends a run that failed, once that is on record or need not be.
    async fn close_failed(&mut self, reason: Reason, message: String) -> Result<(), Stop> {
        let event = Event::RunFailed(events::RunFailed {
            reason: reason.as_str().to_owned(),
            message,
        });
        let end = End {
            event,
            messages: Vec::new(),
            state: RunState::Failed,
            saw_outside: self.saw_outside(),
        };
        self.journal.close(end).await?;
        self.numbers.ended(Outcome::Failed.as_str(), reason.as_str());
        Ok(())
    }

    /// Puts the end on record. A run that has done something waits for that as long as audit is away: in its own time, a
    /// little longer, and while its node stays. Whoever takes it over afterwards goes on with it, and waits as for any other
    /// record when that is over too: nobody should have it still when its token ends.
    async fn record_end(&self, outcome: Outcome, why: &str, until: Instant) -> Result<(), Stop> {
        let ending = self.ending(outcome, why);
        let until = until.max(Instant::now() + PATIENCE);
        loop {
            let patience = until - Instant::now();
            let recorded = audit::run_finished(&self.trail, &self.principal, ending, patience);
            let failure = tokio::select! {
                biased;
                recorded = recorded => match recorded {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                },
                () = self.gone() => return Err(Stop::Leave),
            };
            if !is_unreachable(&failure)
                || self.leaving.is_cancelled()
                || Instant::now() + RECORD_AGAIN >= until
            {
                let Failure { reason, .. } = failure;
                tracing::warn!(run = %self.principal.run, %reason, error = %failure, "the run's end cannot be recorded");
                return Err(Stop::Leave);
            }
            tokio::time::sleep(RECORD_AGAIN).await;
        }
    }

    /// What is recorded of it. A node that let a run go may have left an end in its trail: the epoch tells them apart.
    fn ending<'a>(&self, outcome: Outcome, why: &'a str) -> Ending<'a> {
        Ending {
            outcome,
            why,
            steps: self.progress.steps,
            usage: self.progress.usage,
            epoch: self.live.epoch,
        }
    }

    /// The node goes away, and has waited for audit as long as anybody does.
    async fn gone(&self) {
        self.leaving.cancelled().await;
        tokio::time::sleep(PATIENCE).await;
    }
}

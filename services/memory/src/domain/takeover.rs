//! Runs that nobody drives any more: handed to whoever can go on with them, ended when nobody can or is to.

use harombe_proto::memory::v1::JournalEntry;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, RunFailed, RunFinished, StopReason};

use crate::domain::{Claimed, Expired, Journal, RunState, encode_entries};
use crate::error::Error;
use crate::metrics::{By, Leased};

const CLAIM_DEFAULT: u32 = 16;
const CLAIM_MAX: u32 = 256;
/// Runs looked at together.
const SWEPT: u32 = 256;
/// Of those, how often in one sweep: what is left over is the next one's.
const SWEPT_PAGES: usize = 64;

/// Why memory itself ends a run.
#[derive(Clone, Copy)]
enum Cause {
    /// Its token is no longer valid: nobody could act for it.
    Overdue,
    /// Somebody wanted it to stop, and no node is there to do it.
    Cancelled,
}

impl Journal {
    /// Takes over runs whose lease has expired; the node that gets one ends it if it was cancelled. A run that nobody may
    /// act for is ended instead. What was claimed is answered even if more could not be.
    pub(crate) async fn claim(&self, limit: u32) -> Result<Vec<Claimed>, Error> {
        let limit = match limit {
            0 => CLAIM_DEFAULT,
            limit => limit.min(CLAIM_MAX),
        };
        let mut claimed = Vec::new();
        for expired in self.store.expired(self.clock.now(), None, limit).await?.runs {
            let now = self.clock.now();
            let done = match self.cause(&expired) {
                Some(cause) => self.end(&expired, cause).await.map(|()| None),
                None => self.store.claim(&expired, now, now.plus(self.lease)).await,
            };
            match done {
                Ok(Some(run)) => {
                    self.numbers.lease(Leased::Claimed);
                    claimed.push(run);
                }
                Ok(None) => {}
                Err(error) if !error.is_unavailable() => pass_over(&expired, &error),
                Err(error) if claimed.is_empty() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, claimed = claimed.len(), "no more runs could be claimed");
                    break;
                }
            }
        }
        Ok(claimed)
    }

    /// Ends the runs that nobody drives and nobody may drive any more, and those that were cancelled and that no node has
    /// claimed for as long as a lease lasts: a node would have put its end on record.
    ///
    /// # Errors
    /// The store is away; the next sweep begins anew.
    pub(crate) async fn sweep(&self) -> Result<(), Error> {
        let (now, mut after) = (self.clock.now(), None);
        for _ in 0..SWEPT_PAGES {
            let page = self.store.expired(now, after, SWEPT).await?;
            for expired in &page.runs {
                let unclaimed = expired.since.plus(self.lease) <= now;
                let cause = self
                    .cause(expired)
                    .or((expired.cancel_requested && unclaimed).then_some(Cause::Cancelled));
                let Some(cause) = cause else { continue };
                match self.end(expired, cause).await {
                    Err(error) if error.is_unavailable() => return Err(error),
                    Err(error) => pass_over(expired, &error),
                    Ok(()) => {}
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Why a run must be ended rather than handed over.
    fn cause(&self, run: &Expired) -> Option<Cause> {
        if self.tokens.is_valid(&run.token, self.clock.now()) {
            return None;
        }
        Some(if run.cancel_requested {
            Cause::Cancelled
        } else {
            Cause::Overdue
        })
    }

    async fn end(&self, expired: &Expired, cause: Cause) -> Result<(), Error> {
        let (state, event) = match cause {
            Cause::Overdue => (RunState::Failed, Event::RunFailed(overdue())),
            Cause::Cancelled => (RunState::Cancelled, Event::RunFinished(cancelled())),
        };
        let event = RunEvent {
            event: Some(event),
            ..RunEvent::default()
        };
        let entry = JournalEntry {
            event: Some(event),
            ..JournalEntry::default()
        };
        let entries = encode_entries(vec![entry]);
        let written = entries.len();
        if self.store.end(expired, state, entries, self.clock.now()).await? {
            tracing::info!(run = %expired.run, ?state, "a run that no node drives was ended");
            self.numbers.turn_ended(state, By::Memory);
            self.numbers.entries_written(written);
            self.follow.publish(expired.run);
        }
        Ok(())
    }
}

fn pass_over(run: &Expired, error: &Error) {
    tracing::warn!(run = %run.run, %error, "a run that no node drives is passed over");
}

fn overdue() -> RunFailed {
    RunFailed {
        reason: harombe_error::Reason::TimeLimit.to_string(),
        message: "the run reached its time limit; send the message again to start a new one".to_owned(),
    }
}

/// What it has cost is in its journal, with each response.
fn cancelled() -> RunFinished {
    RunFinished {
        stop_reason: StopReason::Cancelled.into(),
        usage: None,
    }
}

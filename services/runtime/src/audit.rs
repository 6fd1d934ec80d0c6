//! What runtime itself puts on record: that a run began, and how it ended.

use std::time::Duration;

use harombe_error::{Failure, ServiceError as _};
use harombe_trail::{Event, Kind, Outcome, Trail};
use harombe_types::{Principal, RunPrincipal};
use serde_json::{Value, json};

use crate::domain::model::Usage;

/// Before the first call of the model.
///
/// # Errors
/// The record could not be made durable: the run must not go on.
pub(crate) async fn run_started(trail: &Trail, principal: &RunPrincipal, model: &str) -> Result<(), Failure> {
    let details = json!({ "model": model });
    trail
        .record(event(Kind::RunStarted, principal, Outcome::Ok, details))
        .await
        .map_err(|error| failure(&error))
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'a> {
    /// In a word.
    pub outcome: Outcome,
    /// The stop reason, or the reason of the failure.
    pub why: &'a str,
    /// Responses of the model.
    pub steps: u32,
    /// What they cost.
    pub usage: Usage,
    /// Of the lease under which it was written.
    pub epoch: u64,
}

/// Before anybody is told that the run has ended.
///
/// # Errors
/// The record could not be made durable with so much patience: nobody may be told.
pub(crate) async fn run_finished(
    trail: &Trail,
    principal: &RunPrincipal,
    ending: Ending<'_>,
    patience: Duration,
) -> Result<(), Failure> {
    trail
        .record_within(patience, finished(principal, ending))
        .await
        .map_err(|error| failure(&error))
}

/// The end of a run whose beginning audit did not take in time. No step was done, so nobody waits for the record; it is
/// queued behind the beginning, which may still be recorded.
pub(crate) fn run_not_begun(trail: &Trail, principal: &RunPrincipal, ending: Ending<'_>) {
    trail.note(finished(principal, ending));
}

fn finished(principal: &RunPrincipal, ending: Ending<'_>) -> Event {
    let Ending {
        outcome,
        why,
        steps,
        usage,
        epoch,
    } = ending;
    let details = json!({
        "ending": why,
        "steps": steps,
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "epoch": epoch,
    });
    event(Kind::RunFinished, principal, outcome, details)
}

fn event(kind: Kind, principal: &RunPrincipal, outcome: Outcome, details: Value) -> Event {
    Event::new(kind, &principal.tenant)
        .principal(&Principal::Run(principal.clone()))
        .outcome(outcome)
        .details(details)
}

fn failure(error: &harombe_trail::Error) -> Failure {
    Failure::new(error.code(), error.reason(), error.to_string())
}

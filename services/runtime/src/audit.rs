//! What runtime itself puts on record: that a run began, and how it ended.

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
    record(
        trail,
        event(
            Kind::RunStarted,
            principal,
            Outcome::Ok,
            json!({ "model": model }),
        ),
    )
    .await
}

/// Before anybody is told that the run has ended. `ending` is the stop reason, or the reason of the failure.
///
/// # Errors
/// The record could not be made durable: nobody may be told.
pub(crate) async fn run_finished(
    trail: &Trail,
    principal: &RunPrincipal,
    outcome: Outcome,
    (ending, steps, usage): (&str, u32, Usage),
) -> Result<(), Failure> {
    let details = json!({
        "ending": ending,
        "steps": steps,
        "input_tokens": usage.input,
        "output_tokens": usage.output,
    });
    record(trail, event(Kind::RunFinished, principal, outcome, details)).await
}

fn event(kind: Kind, principal: &RunPrincipal, outcome: Outcome, details: Value) -> Event {
    Event::new(kind, &principal.tenant)
        .principal(&Principal::Run(principal.clone()))
        .outcome(outcome)
        .details(details)
}

async fn record(trail: &Trail, event: Event) -> Result<(), Failure> {
    trail
        .record(event)
        .await
        .map_err(|error| Failure::new(error.code(), error.reason(), error.to_string()))
}

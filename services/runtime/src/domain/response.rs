//! Whether a model's response can be taken, and in which words a run fails when it cannot.

use std::time::Duration;

use harombe_error::Reason;

use super::events::{Entry, Stop};
use super::model::{ModelError, Response, Stopped, Usage};
use crate::metrics::Asked;

/// Longest response that is taken from a model, text and calls together, in bytes.
const MAX_RESPONSE: usize = 1 << 20;

/// Longest step that a response may become, as it is journalled, in bytes. With the messages that close a turn, and the
/// little that waits for the next write, it fits into one message to memory; alone it is an entry that memory takes.
const MAX_STEP: usize = 9 << 18;

/// Most calls that a model may propose at once.
const MAX_CALLS: usize = 32;

/// Refuses a response that no run can go on from.
///
/// # Errors
/// [`Stop::Fail`].
pub(super) fn check(response: &Response) -> Result<(), Stop> {
    let invalid = |words: String| Err(unusable(ModelError::Invalid(words)));
    if response.stopped == Stopped::Refused {
        return Err(Stop::Fail {
            reason: Reason::ModelRefused,
            message: "The model's provider ended the response for its content. Rephrase the message, or use another model."
                .to_owned(),
        });
    }
    let written: usize = response
        .calls
        .iter()
        .map(|call| call.tool.len() + call.arguments.len())
        .sum();
    if response.text.len() + written > MAX_RESPONSE {
        return invalid(format!("it is longer than {MAX_RESPONSE} bytes"));
    }
    if response.calls.len() > MAX_CALLS {
        return invalid(format!("it proposes more than {MAX_CALLS} calls"));
    }
    // spaces and line ends say nothing either
    if response.text.trim().is_empty() && response.calls.is_empty() {
        return invalid(match response.stopped {
            Stopped::Length => {
                "its limit of tokens was spent before it said anything; raise the model's max_output_tokens"
                    .into()
            }
            Stopped::Whole | Stopped::Refused => "it is empty".into(),
        });
    }
    Ok(())
}

/// A response that is short as text may be long when it is journalled: JSON writes a control character as six bytes.
///
/// # Errors
/// [`Stop::Fail`].
pub(super) fn check_step(entries: &[Entry]) -> Result<(), Stop> {
    let bytes: usize = entries.iter().map(Entry::encoded_len).sum();
    if bytes > MAX_STEP {
        let words = format!("it is longer than {MAX_STEP} bytes when it is stored");
        return Err(unusable(ModelError::Invalid(words)));
    }
    Ok(())
}

/// What became of a question to a model, and what it cost.
pub(super) fn asked(answer: &Result<Response, Stop>, took: Duration, usage: Usage) -> Asked {
    let outcome = match answer {
        Ok(_) => "ok",
        Err(Stop::Fail { reason, .. }) => match reason {
            Reason::ModelInvalid => "invalid",
            Reason::ModelRefused => "refused",
            _ => "failed",
        },
        Err(Stop::Finish(_) | Stop::Leave) => "broken_off",
    };
    Asked {
        outcome,
        took,
        read: usage.input,
        written: usage.output,
    }
}

/// How a run without a response fails.
pub(super) fn unusable(error: ModelError) -> Stop {
    match error {
        ModelError::Invalid(detail) => Stop::Fail {
            reason: Reason::ModelInvalid,
            message: format!("The model's response cannot be used: {detail}. Try again, or another model."),
        },
        ModelError::Failed(failure) => Stop::Fail {
            reason: failure.reason,
            message: failure.message,
        },
    }
}

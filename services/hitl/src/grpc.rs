//! The wire: decode, ask the domain, encode.

mod approvals;
mod authorizations;
mod convert;
mod erasure;

use harombe_error::{Code, Failure, Reason};
use tokio::sync::mpsc;
use tonic::Status;

pub(crate) use approvals::Approvals;
pub(crate) use authorizations::Authorizations;
pub(crate) use erasure::Erasures;

/// Ends a stream so that its reader knows to open it again, and does not take the end for an answer.
fn say_goodbye<T>(updates: &mpsc::Sender<Result<T, Status>>) {
    let stopping = Failure::new(
        Code::Unavailable,
        Reason::Unavailable,
        "hitl is stopping; open the stream again",
    );
    // A reader so slow that its buffer is full sees the stream end without an answer, and asks again too.
    let _ = updates.try_send(Err(stopping.to_status()));
}

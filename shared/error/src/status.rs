//! From a service's error to a `tonic::Status`, and nowhere else.

use std::error::Error;
use std::time::Duration;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{Code, Reason};

pub(crate) const DOMAIN: &str = "harombe";

/// What a service's error enum says about each of its variants.
pub trait ServiceError: Error {
    fn code(&self) -> Code;
    fn reason(&self) -> Reason;
    /// After how long it is worth trying again; `None` when it is not.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// The status that tells a caller what went wrong. An internal error gives away only a request id;
/// its whole chain goes to the log under that id. Other errors send their own message without sources.
#[must_use]
pub fn to_status<E: ServiceError + ?Sized>(error: &E) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason().as_str(), DOMAIN, []);
    if let Some(after) = error.retry_after() {
        details.set_retry_info(Some(after));
    }
    let message = if error.code() == Code::Internal {
        let request = uuid::Uuid::now_v7();
        tracing::error!(%request, error = %Chain(error), "internal error");
        details.set_request_info(request.to_string(), "");
        format!("internal error; the service's log has it under request {request}")
    } else {
        tracing::debug!(reason = %error.reason(), error = %Chain(error), "refused");
        error.to_string()
    };
    Status::with_error_details(error.code().to_grpc(), message, details)
}

/// An error and everything that caused it, on one line.
struct Chain<'a, E: ?Sized>(&'a E);

impl<E: Error + ?Sized> std::fmt::Display for Chain<'_, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            f.write_str(": ")?;
            write!(f, "{error}")?;
            source = error.source();
        }
        Ok(())
    }
}

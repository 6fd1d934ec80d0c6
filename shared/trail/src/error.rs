//! Why an act must not happen: it would leave no trail.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason, ServiceError};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the audit log does not answer, so the act was refused")]
    Unavailable,
    #[error("the audit log is behind and the tenant's queue here is full, so the act was refused")]
    QueueFull,
    /// A fault of ours: the event is not one that audit takes, is larger than it takes, or has another one's id.
    #[error("the audit log rejected an event")]
    Rejected(#[source] Failure),
    #[error("details of an audit event must be a JSON object")]
    Details,
    #[error("an audit event has {size} bytes; the most is {max}")]
    TooLarge { size: usize, max: usize },
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::Unavailable | Self::QueueFull => Code::Unavailable,
            Self::Rejected(_) | Self::Details | Self::TooLarge { .. } => Code::Internal,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Unavailable | Self::QueueFull => Reason::AuditUnavailable,
            Self::Rejected(_) | Self::Details | Self::TooLarge { .. } => Reason::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Unavailable | Self::QueueFull).then_some(Duration::from_secs(1))
    }
}

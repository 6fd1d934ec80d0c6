//! Why hitl does not do what it is asked.

use std::time::Duration;

use harombe_error::{Code, Reason, ServiceError};

use crate::domain::Whose;

/// People decide in minutes rather than seconds.
const PLACES_AGAIN: Duration = Duration::from_secs(60);

/// What hitl answers instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the call is not a canonical call (CONTRACTS §3)")]
    CallInvalid(#[source] harombe_canonical::Error),
    #[error("the call is for another {0} than was authorized")]
    CallMismatch(&'static str),
    #[error("no service performs this tool")]
    ToolUnknown,
    #[error("{what} may be at most {most}")]
    Limit { what: &'static str, most: u64 },
    #[error(
        "{most} calls of this {whose} wait for approval, and no more may (hitl.limits.pending_per_{whose}); have some of \
         them decided or let their deadlines pass, then ask again"
    )]
    TooManyPending { whose: Whose, most: u32 },
    #[error(transparent)]
    Id(#[from] harombe_types::InvalidId),
    #[error(transparent)]
    Name(#[from] harombe_types::InvalidName),
    #[error("{0}")]
    Argument(&'static str),
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("whose run asks may not decide; another approver must")]
    OwnRun,
    #[error("the request was decided otherwise before")]
    AlreadyDecided,
    #[error("nobody decided before the deadline, so the call is denied; let the run ask again")]
    ApprovalExpired,
    #[error("the grant was spent before; a call is performed at most once")]
    Redeemed,
    #[error(transparent)]
    Grant(#[from] harombe_grant::Error),
    #[error(transparent)]
    Trail(#[from] harombe_trail::Error),
    #[error("the store of approvals does not answer")]
    Store(#[from] harombe_sql::Error),
}

impl Error {
    /// Whether other records would fail as well, whoever's they are: audit does not answer, or the store does not or has no
    /// room. A queue to audit that is full is one tenant's.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        match self {
            Self::Trail(error) => matches!(error, harombe_trail::Error::Unavailable),
            Self::Store(error) => error.is_unavailable(),
            _ => false,
        }
    }

    /// Whether a record was found that does not read back as this program writes it.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Store(harombe_sql::Error::Handler(_)))
    }
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::CallInvalid(_)
            | Self::CallMismatch(_)
            | Self::ToolUnknown
            | Self::Limit { .. }
            | Self::Id(_)
            | Self::Name(_)
            | Self::Argument(_) => Code::InvalidArgument,
            Self::NotFound(_) => Code::NotFound,
            Self::TooManyPending { .. } => Code::ResourceExhausted,
            Self::OwnRun => Code::PermissionDenied,
            Self::AlreadyDecided | Self::ApprovalExpired | Self::Redeemed => Code::FailedPrecondition,
            Self::Grant(error) => error.code(),
            Self::Trail(error) => error.code(),
            Self::Store(error) if error.is_unavailable() => Code::Unavailable,
            Self::Store(_) => Code::Internal,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::CallInvalid(_) => Reason::CallInvalid,
            Self::CallMismatch(_) => Reason::CallMismatch,
            Self::ToolUnknown => Reason::ToolUnknown,
            Self::Limit { .. } | Self::TooManyPending { .. } => Reason::LimitExceeded,
            Self::Id(_) | Self::Name(_) | Self::Argument(_) => Reason::InvalidArgument,
            Self::NotFound(_) => Reason::NotFound,
            Self::OwnRun => Reason::NotAllowed,
            Self::AlreadyDecided => Reason::AlreadyDecided,
            Self::ApprovalExpired => Reason::ApprovalExpired,
            Self::Redeemed => Reason::GrantRedeemed,
            Self::Grant(error) => error.reason(),
            Self::Trail(error) => error.reason(),
            Self::Store(error) if error.is_unavailable() => Reason::StoreUnavailable,
            Self::Store(_) => Reason::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyPending { .. } => Some(PLACES_AGAIN),
            // An audit that does not answer was waited for already; asking again at once would only wait again.
            Self::Trail(harombe_trail::Error::Unavailable) => None,
            Self::Trail(error) => error.retry_after(),
            Self::Store(error) if error.is_unavailable() => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_of_one_tenant_concerns_no_other() {
        let of = |error: harombe_trail::Error| Error::from(error).concerns_all();
        assert!(of(harombe_trail::Error::Unavailable));
        assert!(!of(harombe_trail::Error::QueueFull), "one tenant's queue");
        assert!(!of(harombe_trail::Error::Details));
    }
}

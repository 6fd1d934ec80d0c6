//! Everything this service refuses or fails at, and what its callers are told.

use harombe_error::{Code, Failure, Reason, ServiceError};

use crate::domain::call::InvalidCall;
use crate::domain::denial::Denial;
use crate::fetch::FetchError;
use crate::upstream::UpstreamError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Frame(&'static str),
    #[error("the canonical call cannot be read")]
    Call(#[source] harombe_canonical::Error),
    #[error(transparent)]
    Arguments(InvalidCall),
    #[error("this service performs web_fetch and web_search and no other tool")]
    Tool,
    #[error("the call's {0} is not the run's")]
    ForeignCall(&'static str),
    #[error(transparent)]
    Grant(#[from] harombe_grant::Error),
    #[error("the lease's {0} is not the grant's")]
    Lease(&'static str),
    #[error("denied at stage {stage}: {0}", stage = .0.stage())]
    Denied(Denial),
    #[error("the approval service does not answer")]
    Hitl,
    #[error("{0}")]
    Refused(Failure),
    #[error(transparent)]
    Audit(#[from] harombe_trail::Error),
    #[error("the request in the tunnel differs from the granted call in its {0}")]
    Mismatch(&'static str),
    /// The caller learns what failed; the cause below it concerns the operator and goes to the log.
    #[error("the exchange failed at stage {stage}: {0}", stage = .0.stage())]
    Upstream(FetchError),
    /// The caller learns what failed; the cause below it concerns the operator and goes to the log.
    #[error(transparent)]
    Service(UpstreamError),
    #[error("the upstream's credential cannot be had")]
    Credential(#[source] harombe_secrets::Error),
    #[error("the upstream's credential cannot travel in a header field")]
    CredentialForm,
    #[error("the request's body is longer than the upstream takes")]
    TooLong,
    #[error("the request in the tunnel is not http/1.1 or did not come in time")]
    Request,
    #[error("the tunnel was open for too long")]
    TimeLimit,
    #[error("too many tunnels are open")]
    Busy,
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::Frame(_) | Self::Call(_) | Self::Arguments(_) | Self::Tool | Self::Request => {
                Code::InvalidArgument
            }
            Self::ForeignCall(_) | Self::Mismatch(_) => Code::InvalidArgument,
            Self::Grant(error) => error.code(),
            Self::Lease(_) | Self::Denied(_) => Code::PermissionDenied,
            Self::Hitl | Self::Upstream(_) | Self::Service(_) => Code::Unavailable,
            Self::Credential(error) => error.code(),
            Self::CredentialForm => Code::FailedPrecondition,
            Self::Refused(failure) => failure.code(),
            Self::Audit(error) => error.code(),
            Self::TimeLimit => Code::DeadlineExceeded,
            Self::Busy | Self::TooLong => Code::ResourceExhausted,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Frame(_) | Self::Request => Reason::InvalidArgument,
            Self::Call(_) | Self::Arguments(_) | Self::Tool => Reason::CallInvalid,
            Self::ForeignCall(_) | Self::Mismatch(_) => Reason::CallMismatch,
            Self::Grant(error) => error.reason(),
            Self::Lease(_) => Reason::GrantInvalid,
            Self::Denied(_) => Reason::EgressDenied,
            Self::Hitl => Reason::HitlUnavailable,
            Self::Refused(failure) => failure.reason(),
            Self::Audit(error) => error.reason(),
            Self::Upstream(_) | Self::Service(_) => Reason::UpstreamFailed,
            Self::Credential(_) | Self::CredentialForm => Reason::CredentialUnavailable,
            Self::TimeLimit => Reason::TimeLimit,
            Self::Busy | Self::TooLong => Reason::LimitExceeded,
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Busy => Some(std::time::Duration::from_secs(1)),
            Self::Refused(failure) => failure.retry_after(),
            Self::Credential(error) => error.retry_after(),
            Self::Audit(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl From<Denial> for Error {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

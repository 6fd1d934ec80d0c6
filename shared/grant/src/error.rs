//! Why a grant or a lease is not honoured.

use harombe_error::{Code, Reason, ServiceError};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("grant cannot be signed")]
    Sign(#[source] harombe_identity::Error),
    #[error("{0} cannot be put into a grant")]
    Unsignable(&'static str),
    #[error("grant is not acceptable")]
    Token(#[source] harombe_identity::Error),
    #[error("grant's {0} is not acceptable")]
    Claim(&'static str),
    #[error("grant is for another service")]
    Audience,
    #[error("lease belongs to another service")]
    Redeemer,
    #[error("grant or lease has expired; ask for a new decision")]
    Expired,
    #[error("grant is not valid yet; compare the clocks of hitl and this machine")]
    NotYetValid,
    #[error("grant is for another {0} than the call's")]
    Mismatch(&'static str),
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::Sign(_) | Self::Unsignable(_) => Code::Internal,
            Self::Expired => Code::FailedPrecondition,
            Self::Mismatch(_) => Code::InvalidArgument,
            _ => Code::PermissionDenied,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Sign(_) | Self::Unsignable(_) => Reason::Internal,
            Self::Expired => Reason::GrantExpired,
            Self::Mismatch(_) => Reason::CallMismatch,
            _ => Reason::GrantInvalid,
        }
    }
}

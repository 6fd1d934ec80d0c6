//! Why a secret cannot be had or kept. No variant ever carries one.

use std::path::PathBuf;

use harombe_error::{Code, Reason, ServiceError};
use harombe_types::ServiceName;

use crate::vault::Fault;
use crate::{SecretName, secret};

/// When it makes sense to ask again for a store that cannot be reached.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}", .0.join("; "))]
    Config(Vec<String>),
    #[error(
        "a secret is named with at most 64 letters, digits, '-', '_' and '.', and not with a dot in front"
    )]
    Name,
    #[error("a secret has from {} to {} bytes", secret::MIN, secret::MAX)]
    Length,
    #[error("there is no secret called {0}")]
    NotFound(SecretName),
    #[error("{path} cannot be used")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} can be read by others than its owner: make it 0600")]
    OpenToOthers(PathBuf),
    #[error("{path} cannot be unsealed: {why}")]
    Sealed { path: PathBuf, why: &'static str },
    #[error("the secrets cannot be sealed")]
    Seal,
    #[error("what is stored as {0} is no secret of ours: a text of fitting length in the field `value`")]
    Malformed(SecretName),
    #[error(
        "vault holds no certificate of {0}: the entry services/{0} needs the fields cert, key and ca, in PEM"
    )]
    NoIdentity(ServiceName),
    #[error("the certificate of {service} in vault cannot be used")]
    Identity {
        service: ServiceName,
        #[source]
        source: harombe_identity::Error,
    },
    #[error(transparent)]
    Vault(#[from] Fault),
    #[error("the store of secrets was interrupted")]
    Interrupted,
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::Config(_) | Self::Name | Self::Length => Code::InvalidArgument,
            Self::NotFound(_) | Self::OpenToOthers(_) | Self::Sealed { .. } | Self::Malformed(_) => {
                Code::FailedPrecondition
            }
            Self::NoIdentity(_) | Self::Identity { .. } => Code::FailedPrecondition,
            Self::Vault(Fault::Login | Fault::Forbidden | Fault::SecretId | Fault::Authorities) => {
                Code::FailedPrecondition
            }
            Self::Vault(_) | Self::File { .. } | Self::Seal | Self::Interrupted => Code::Unavailable,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Config(_) | Self::Name | Self::Length => Reason::InvalidArgument,
            _ => Reason::CredentialUnavailable,
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self.code() {
            Code::Unavailable => Some(RETRY),
            _ => None,
        }
    }
}

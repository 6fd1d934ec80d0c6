//! Why the gateway itself refuses a request; what other services refuse is passed on.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason, ServiceError, to_status};
use harombe_types::{InvalidId, InvalidName, UnknownRole};
use tonic::Status;

/// Until a store or a log that cannot be reached is worth another try.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error("client_message_id must have 1 to 128 bytes and no control characters")]
    ClientMessageId,
    #[error("text must not be empty")]
    NoText,
    #[error("text has {size} bytes; a message may have at most {max} (1 MiB)")]
    LongText { size: usize, max: usize },
    #[error("no agent is called {0:?}; ListAgents names those that there are")]
    UnknownAgent(String),
    #[error("an upload begins with one start frame, and data follows")]
    UploadFrames,
    #[error("path must have 1 to 4096 bytes")]
    Path,
    #[error("sha256 must have 32 bytes")]
    Digest,
    #[error("{announced} bytes were announced, and {found} came")]
    UploadSize { announced: u64, found: u64 },
    #[error("a file may have at most {max} bytes (64 MiB)")]
    LargeFile { max: u64 },
    /// A peer broke its contract, or ours was broken here.
    #[error("{peer} answered what cannot be: {what}")]
    Peer { peer: &'static str, what: String },
    #[error("{peer} failed")]
    Failed {
        peer: &'static str,
        #[source]
        source: Failure,
    },
    #[error("token cannot be minted")]
    Mint(#[source] harombe_identity::Error),

    #[error(transparent)]
    Role(#[from] UnknownRole),
    #[error("key_id must be the 12 characters that follow hrb_")]
    KeyId,
    #[error("name must have 1 to 128 bytes and no control characters")]
    KeyName,
    #[error("roles must name at least one of user, approver, auditor, admin")]
    KeyRoles,
    #[error("a key for some agents only has the one role user")]
    KeyAgents,
    #[error("agents may name at most {max}")]
    ManyAgents { max: usize },
    #[error("expires_at must be in the future, and before the year 10000")]
    KeyExpiry,
    #[error("each of a key's limits may be at most {max}; 0 is what the gateway's configuration says")]
    KeyLimit { max: u32 },
    #[error("only admins of the operator's tenant may make keys in another one")]
    OtherTenant,
    #[error("no such key")]
    NoSuchKey,
    #[error("no such tenant")]
    NoSuchTenant,
    /// The key opens nothing any more.
    #[error("the key is revoked, but the audit log could not be told; revoke it again")]
    Unrecorded(#[source] harombe_trail::Error),
    #[error(transparent)]
    Trail(#[from] harombe_trail::Error),
    #[error("this key is not for the agent {0:?}")]
    OtherAgent(String),
    #[error(
        "this key is for some agents only: name one of them in filter.agent, or use a key for all agents"
    )]
    AllAgents,
    #[error(
        "a key cannot erase the person whose it is; let another admin do it, or do it at the terminal of the machine that \
         runs `harombe up`"
    )]
    OwnPerson,
    /// It ended while the call was under way.
    #[error("the key has expired or was revoked")]
    KeyEnded,
    #[error("this key may make at most {per_second} requests a second")]
    TooFast { per_second: u32, wait: Duration },
    #[error("this key may have at most {max} streams open")]
    ManyStreams { max: u32 },
    #[error("this key may have at most {max} uploads and downloads under way; try again when one has ended")]
    ManyTransfers { max: u32 },
    #[error("this key may have at most {max} calls under way")]
    ManyCalls { max: u32 },
    #[error(
        "this key may send at most {max} messages a day, and they are sent; the day ends at midnight UTC"
    )]
    QuotaSpent { max: u32, wait: Duration },
    #[error(
        "this key may begin at most {max} sessions a day, and they are begun; go on in one that there is (for a completion: \
         X-Harombe-Session), or wait until the day ends at midnight UTC"
    )]
    ManySessions { max: u32, wait: Duration },
    #[error("the store failed")]
    Store(#[source] harombe_sql::Error),
    /// Damage, or a newer program wrote it.
    #[error("the stored {0} cannot be understood")]
    Stored(&'static str),
    #[error("the system has no random numbers")]
    Randomness,
}

impl Error {
    /// A column that cannot be read as what it is.
    pub(crate) fn row(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::Peer { .. } | Self::Failed { .. } | Self::Mint(_) | Self::Stored(_) | Self::Randomness => {
                Code::Internal
            }
            Self::Store(error) if error.is_unavailable() => Code::Unavailable,
            Self::Store(_) => Code::Internal,
            Self::Trail(error) | Self::Unrecorded(error) => error.code(),
            Self::LargeFile { .. }
            | Self::TooFast { .. }
            | Self::ManyStreams { .. }
            | Self::ManyTransfers { .. }
            | Self::ManyCalls { .. }
            | Self::QuotaSpent { .. }
            | Self::ManySessions { .. } => Code::ResourceExhausted,
            Self::OtherTenant | Self::OtherAgent(_) | Self::AllAgents | Self::OwnPerson => {
                Code::PermissionDenied
            }
            Self::NoSuchKey | Self::NoSuchTenant => Code::NotFound,
            Self::KeyEnded => Code::Unauthenticated,
            _ => Code::InvalidArgument,
        }
    }

    fn reason(&self) -> Reason {
        match self.code() {
            Code::Unavailable => match self {
                Self::Trail(error) | Self::Unrecorded(error) => error.reason(),
                _ => Reason::StoreUnavailable,
            },
            Code::ResourceExhausted => Reason::LimitExceeded,
            Code::PermissionDenied => Reason::NotAllowed,
            Code::NotFound => Reason::NotFound,
            Code::Unauthenticated => Reason::Unauthenticated,
            Code::InvalidArgument => Reason::InvalidArgument,
            _ => Reason::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooFast { wait, .. } | Self::QuotaSpent { wait, .. } | Self::ManySessions { wait, .. } => {
                Some(*wait)
            }
            Self::ManyStreams { .. } | Self::ManyTransfers { .. } | Self::ManyCalls { .. } => Some(AGAIN),
            Self::Store(error) if error.is_unavailable() => Some(AGAIN),
            Self::Trail(error) | Self::Unrecorded(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl From<harombe_sql::Error> for Error {
    fn from(error: harombe_sql::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        to_status(&error)
    }
}

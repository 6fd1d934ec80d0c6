//! Why the gateway itself refuses a request; what other services refuse is passed on.

use harombe_error::{Code, Failure, Reason, ServiceError, to_status};
use harombe_types::{InvalidId, InvalidName};
use tonic::Status;

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
    #[error("text has {size} bytes; a message may have {max} (1 MiB)")]
    LongText { size: usize, max: usize },
    #[error("no agent is called {0:?}; ListAgents names those that there are")]
    UnknownAgent(String),
    #[error("an upload begins with one start frame, and data follows")]
    UploadFrames,
    #[error("path must have 1 to 4096 bytes")]
    Path,
    #[error("sha256 must have 32 bytes")]
    Digest,
    #[error("the upload has {found} bytes or more, and {announced} were announced")]
    UploadSize { announced: u64, found: u64 },
    #[error("a file may have {max} bytes (64 MiB)")]
    LargeFile { max: u64 },
    /// A peer broke its contract, or ours was broken here.
    #[error("{peer} answered what cannot be: {what}")]
    Peer { peer: &'static str, what: String },
    #[error("{peer} does not accept our word")]
    Distrusted {
        peer: &'static str,
        #[source]
        source: Failure,
    },
    #[error("{peer} failed")]
    Failed {
        peer: &'static str,
        #[source]
        source: Failure,
    },
    #[error("token cannot be minted")]
    Mint(#[source] harombe_identity::Error),
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::Peer { .. } | Self::Distrusted { .. } | Self::Failed { .. } | Self::Mint(_) => {
                Code::Internal
            }
            Self::LargeFile { .. } => Code::ResourceExhausted,
            _ => Code::InvalidArgument,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Peer { .. } | Self::Distrusted { .. } | Self::Failed { .. } | Self::Mint(_) => {
                Reason::Internal
            }
            Self::LargeFile { .. } => Reason::LimitExceeded,
            _ => Reason::InvalidArgument,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        to_status(&error)
    }
}

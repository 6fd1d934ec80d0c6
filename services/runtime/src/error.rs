//! Why a request to runtime was not done. What goes wrong inside a run is told by the run's events instead.

use harombe_error::{Code, Failure, Reason, ServiceError};
use harombe_types::AgentName;

use crate::domain::state::UnreadableJournal;

/// A refused request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such agent in the configuration.
    #[error("there is no agent {0}; ListAgents names those that there are")]
    UnknownAgent(AgentName),
    /// Nothing was said.
    #[error("the message is empty")]
    EmptyMessage,
    /// More than can be taken.
    #[error("the message is too long: at most {most} bytes; upload long texts as a file instead")]
    MessageTooLong {
        /// In bytes.
        most: usize,
    },
    /// More than the model can be shown at once.
    #[error(
        "the message is too long: with the agent's prompt and tools and the client's instructions it takes {needed} tokens, and the \
         agent's context has {most}; upload long texts as a file instead"
    )]
    ContextTooLong {
        /// In tokens.
        needed: u64,
        /// In tokens.
        most: u32,
    },
    /// The id that makes sending again harmless is missing or too long.
    #[error("client_message_id must have 1 to {most} bytes")]
    ClientMessageId {
        /// In bytes.
        most: usize,
    },
    /// The client's own instructions are longer than what is taken.
    #[error("client_instructions must have at most {most} bytes")]
    Instructions {
        /// In bytes.
        most: usize,
    },
    /// This node is full.
    #[error("too many runs are active; try again")]
    TooManyRuns,
    /// This node is going away.
    #[error("the service is shutting down; try again")]
    ShuttingDown,
    /// More than can be uploaded.
    #[error("the file is too large: at most {most} bytes")]
    UploadTooLarge {
        /// In bytes.
        most: u64,
    },
    /// The frames of an upload make no sense.
    #[error("an upload starts with path, size and a SHA-256 of 32 bytes, and content follows")]
    UploadFrames,
    /// The operator's rules rate a file transfer so high that a person would have to approve it.
    #[error("the rules ask for an approval for this file, and approvals are not possible for file transfers")]
    NeedsApproval,
    /// A path that leads out of the workspace, or nowhere.
    #[error("the path {0}")]
    Path(&'static str),
    /// A path that has no canonical form.
    #[error("the path cannot be used")]
    Call(#[source] harombe_canonical::Error),
    /// The token of a run that was taken over.
    #[error("the token of a run is not valid")]
    Token(#[source] harombe_identity::Error),
    /// The journal of a run that was taken over.
    #[error("a journal cannot be read")]
    Journal(#[source] UnreadableJournal),
    /// Another service refused; its answer is passed on.
    #[error("{0}")]
    Peer(Failure),
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::UnknownAgent(_) => Code::NotFound,
            Self::EmptyMessage
            | Self::MessageTooLong { .. }
            | Self::ContextTooLong { .. }
            | Self::ClientMessageId { .. }
            | Self::Instructions { .. }
            | Self::UploadTooLarge { .. }
            | Self::UploadFrames
            | Self::Path(_)
            | Self::Call(_) => Code::InvalidArgument,
            Self::TooManyRuns => Code::ResourceExhausted,
            Self::ShuttingDown => Code::Unavailable,
            Self::NeedsApproval => Code::FailedPrecondition,
            Self::Token(_) | Self::Journal(_) => Code::Internal,
            Self::Peer(failure) => failure.code,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::UnknownAgent(_) => Reason::NotFound,
            Self::EmptyMessage
            | Self::ClientMessageId { .. }
            | Self::UploadFrames
            | Self::Path(_)
            | Self::Call(_) => Reason::InvalidArgument,
            Self::MessageTooLong { .. }
            | Self::ContextTooLong { .. }
            | Self::Instructions { .. }
            | Self::UploadTooLarge { .. }
            | Self::TooManyRuns => Reason::LimitExceeded,
            Self::ShuttingDown => Reason::Unavailable,
            Self::NeedsApproval => Reason::NotAllowed,
            Self::Token(_) | Self::Journal(_) => Reason::Internal,
            Self::Peer(failure) => failure.reason,
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::TooManyRuns | Self::ShuttingDown => Some(std::time::Duration::from_secs(1)),
            Self::Peer(failure) => failure.retry_after,
            _ => None,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Peer(failure)
    }
}

/// What goes on the wire; another service's internal failure keeps its own words, which name its request.
pub(crate) fn status(error: &Error) -> tonic::Status {
    match error {
        Error::Peer(failure) => failure.to_status(),
        error => harombe_error::to_status(error),
    }
}

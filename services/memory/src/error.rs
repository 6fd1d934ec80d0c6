//! Why a request was refused or could not be done.

use std::time::Duration;

use harombe_error::{Code, Reason, ServiceError};
use harombe_types::MemoryId;

use crate::domain::Whose;

/// Longer than a call lasts: it is for the client to come again, not for those in between.
const ROOM_AGAIN: Duration = Duration::from_secs(30);

/// Failures of the memory service.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It does not exist, or belongs to somebody else: the two look the same.
    #[error("no such {0}")]
    NotFound(&'static str),
    #[error("{0}")]
    Invalid(String),
    /// Another run is active in the session.
    #[error("the session is busy with another run; wait until it ends, or cancel it")]
    SessionBusy,
    /// As many runs are under way as may.
    #[error(
        "{most} runs of this {whose} are under way, and no more may be (memory.limits.runs_per_{whose}); wait until one ends, \
         or cancel some, then send the message again"
    )]
    TooManyRuns { whose: Whose, most: u32 },
    /// As many memories are kept as may.
    #[error(
        "no more than {most} memories of a {whose} are kept (memory.limits.memories_per_{whose}), hidden ones included; \
         erase some, or ask the operator for more"
    )]
    TooManyMemories { whose: Whose, most: u32 },
    /// Another memory has taken its place, or is about to.
    #[error("memory {0} is superseded already; read it to see by which, and supersede that one")]
    Superseded(MemoryId),
    /// A run cannot put less trusted words in the place of more trusted ones.
    #[error(
        "memory {old} is labelled {is}, which is trusted more than {new}: it is not superseded; save this one without \
         supersedes, and leave it to the person to say which holds"
    )]
    MoreTrusted {
        old: MemoryId,
        is: &'static str,
        new: &'static str,
    },
    /// A memory is no place for long texts.
    #[error(
        "the text has {bytes} bytes; a memory has at most {most}: save what matters of it, or several memories"
    )]
    TooLong { bytes: usize, most: usize },
    /// It has happened, or was about to, and the audit log may not have it: nobody is told that it is done.
    #[error("it is not on record in the audit log")]
    Unrecorded(#[source] harombe_trail::Error),
    /// The epoch is not the current one, or the lease is another's and has not expired.
    #[error("another node holds the lease of this run")]
    LeaseLost,
    /// A client's own history came with a later message.
    #[error("history can only come with the first message of a session; create a new session for it")]
    NotFresh,
    /// The run has ended: nobody can drive it any more.
    #[error("the run has ended")]
    RunEnded,
    #[error("the entries go after cursor {expected}, the journal is at {actual}")]
    Cursor { expected: u64, actual: u64 },
    #[error("the store failed")]
    Store(#[source] harombe_sql::Error),
    /// A stored message cannot be read: damage, or a newer program wrote it.
    #[error("a stored message cannot be read")]
    Decode(#[from] prost::DecodeError),
    /// A stored value that the schema or an older check should have kept out.
    #[error("the stored {0} cannot be understood")]
    Stored(&'static str),
}

impl Error {
    /// True when the audit log refuses an event and would refuse it every time.
    pub(crate) fn is_rejected(&self) -> bool {
        matches!(self, Self::Unrecorded(error) if error.code() != Code::Unavailable)
    }

    /// True when the store could not be asked at all: another request would fare no better.
    pub(crate) fn is_unavailable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_unavailable(),
            Self::Unrecorded(error) => error.code() == Code::Unavailable,
            _ => false,
        }
    }
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::NotFound(_) => Code::NotFound,
            Self::Invalid(_) | Self::TooLong { .. } => Code::InvalidArgument,
            Self::Unrecorded(error) => error.code(),
            Self::SessionBusy
            | Self::Superseded(_)
            | Self::MoreTrusted { .. }
            | Self::LeaseLost
            | Self::NotFresh
            | Self::RunEnded
            | Self::Cursor { .. } => Code::FailedPrecondition,
            Self::TooManyRuns { .. } | Self::TooManyMemories { .. } => Code::ResourceExhausted,
            Self::Store(error) if error.is_unavailable() => Code::Unavailable,
            Self::Store(_) | Self::Decode(_) | Self::Stored(_) => Code::Internal,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::NotFound(_) => Reason::NotFound,
            Self::Invalid(_) | Self::NotFresh | Self::Cursor { .. } => Reason::InvalidArgument,
            Self::SessionBusy => Reason::SessionBusy,
            Self::Superseded(_) => Reason::MemorySuperseded,
            Self::MoreTrusted { .. } => Reason::MemoryMoreTrusted,
            Self::TooManyRuns { .. } | Self::TooManyMemories { .. } | Self::TooLong { .. } => {
                Reason::LimitExceeded
            }
            Self::Unrecorded(error) => error.reason(),
            Self::LeaseLost | Self::RunEnded => Reason::LeaseLost,
            Self::Store(error) if error.is_unavailable() => Reason::StoreUnavailable,
            Self::Store(_) | Self::Decode(_) | Self::Stored(_) => Reason::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRuns { .. } => Some(ROOM_AGAIN),
            Self::Unrecorded(error) => error.retry_after(),
            error => error.is_unavailable().then_some(Duration::from_secs(1)),
        }
    }
}

impl From<harombe_sql::Error> for Error {
    fn from(error: harombe_sql::Error) -> Self {
        Self::Store(error)
    }
}

impl From<harombe_sql::UnitError<Self>> for Error {
    fn from(error: harombe_sql::UnitError<Self>) -> Self {
        match error {
            harombe_sql::UnitError::Refused(error) => error,
            harombe_sql::UnitError::Store(error) => Self::Store(error),
        }
    }
}

//! What the service refuses and what fails in it.

use std::path::PathBuf;
use std::time::Duration;

use harombe_error::{Code, Reason, ServiceError};

/// A failure of the audit service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("{field}: {problem}")]
    Field { field: &'static str, problem: String },
    #[error("{what} larger than {limit} bytes")]
    TooLarge { what: &'static str, limit: usize },
    #[error("details are not usable JSON: {0}")]
    Details(harombe_canonical::Error),
    #[error("event id belongs to another event")]
    EventIdTaken,
    #[error("the log has no such entry for this tenant")]
    NoSuchEntry,
    #[error("no checkpoint of that size was signed")]
    NoSuchCheckpoint,
    #[error("the audit log cannot be written or read now")]
    Store(#[from] harombe_sql::Error),
    #[error("this instance does not write the log now; another one does, or none can")]
    NotWriter,
    #[error("there is no audit log in that database")]
    NoLog,
    #[error("a leaf cannot be encoded")]
    Leaf(#[source] harombe_canonical::Error),
    #[error("the tree cannot be built")]
    Tree(#[from] harombe_tlog::Error),
    #[error("details cannot be sealed")]
    Seal,
    #[error("the system gives no random bytes")]
    Random,
    #[error("the audit log contradicts itself ({0}); stop, keep the files, and run `harombe audit verify`")]
    Damaged(String),
    #[error("key file {path} is missing though the log has entries; restore it from a backup")]
    KeyMissing { path: PathBuf },
    #[error("key file {path} is not usable; restore it from a backup")]
    Key {
        path: PathBuf,
        #[source]
        source: harombe_tlog::Error,
    },
    #[error(
        "{path} names another key than the one that signs; remove it if the signing key is the right one"
    )]
    OtherKey { path: PathBuf },
    #[error(
        "{path} is not the key of the log in that database; put a copy of the one that the other instances use there"
    )]
    NotTheLogs { path: PathBuf },
    #[error("{path} holds no wrapping key; restore it from a backup")]
    NoWrappingKey { path: PathBuf },
    #[error("file {path} cannot be used")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// For a store's own way of passing failures on.
    pub(crate) fn into_store(self) -> harombe_sql::Error {
        match self {
            Self::Store(error) => error,
            other => harombe_sql::Error::handler(other),
        }
    }
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::Invalid(_) | Self::Field { .. } | Self::Details(_) | Self::NoSuchCheckpoint => {
                Code::InvalidArgument
            }
            Self::TooLarge { .. } => Code::ResourceExhausted,
            Self::EventIdTaken => Code::AlreadyExists,
            Self::NoSuchEntry => Code::NotFound,
            Self::NotWriter => Code::Unavailable,
            Self::Store(error) if error.is_unavailable() => Code::Unavailable,
            _ => Code::Internal,
        }
    }

    fn reason(&self) -> Reason {
        match self.code() {
            Code::InvalidArgument | Code::AlreadyExists => Reason::InvalidArgument,
            Code::ResourceExhausted => Reason::LimitExceeded,
            Code::NotFound => Reason::NotFound,
            Code::Unavailable => Reason::AuditUnavailable,
            _ => Reason::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        (self.code() == Code::Unavailable).then_some(Duration::from_millis(200))
    }
}

//! Everything this service refuses or fails at, and what its callers are told.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason, ServiceError};

use crate::domain::admission::NotAdmitted;
use crate::domain::call::InvalidCall;
use crate::domain::driver::DriverError;
use crate::domain::language::Language;
use crate::domain::limits::LimitRefused;
use crate::domain::transfers::TooManyTransfers;
use crate::isolation::NotIsolated;
use crate::workspace::{FileError, is_disk_full};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the request has no permission")]
    NoPermission,
    #[error("{0}")]
    Frame(&'static str),
    #[error("the canonical call cannot be read")]
    Call(#[source] harombe_canonical::Error),
    #[error("the arguments of the call are refused: {0}")]
    Arguments(#[from] InvalidCall),
    #[error("the arguments of the call are refused: {0}")]
    Limit(#[from] LimitRefused),
    #[error("the call is for the tool {called:?}, not for {served}")]
    Tool { called: String, served: &'static str },
    #[error("the grant's {0} is not the run's")]
    ForeignGrant(&'static str),
    #[error(transparent)]
    Grant(#[from] harombe_grant::Error),
    #[error("the lease's {0} is not the grant's")]
    Lease(&'static str),
    #[error("the approval service does not answer, so the act was refused")]
    Hitl,
    #[error("{0}")]
    Refused(Failure),
    #[error(transparent)]
    Audit(#[from] harombe_trail::Error),
    #[error("the act was begun, and how it ended could not be recorded")]
    Unrecorded(#[source] harombe_trail::Error),
    /// Its cause names files of this host: it is for the log and the operator, never for a caller.
    #[error("sandboxes are not available; run `harombe doctor`, which says what is missing")]
    Isolation(#[source] Arc<NotIsolated>),
    #[error("this host has no interpreter for {0}")]
    NoInterpreter(Language),
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    #[error("the sandbox failed")]
    Driver(#[source] DriverError),
    #[error("the workspace id must be <broker instance>.<uuid>")]
    WorkspaceId,
    #[error("you have {0} workspaces here, the most there may be; delete sessions that you no longer need")]
    ManyWorkspaces(usize),
    #[error("no such workspace")]
    NoWorkspace,
    #[error("the workspace is on the broker {0}")]
    WorkspaceElsewhere(String),
    #[error("the workspace is lost; its files are gone, a new one has to be opened")]
    WorkspaceLost,
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Transfers(#[from] TooManyTransfers),
    #[error("the transfer was broken off: {0}")]
    BrokenOff(&'static str),
    #[error("the content that followed is not the one of the call: its {0} differs")]
    Upload(&'static str),
    #[error("the service is stopping")]
    Stopped,
    #[error("{what}")]
    Store {
        what: &'static str,
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: the error of doing `what` with the broker's own files.
    pub(crate) fn store(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match is_disk_full(&source) {
            true => Self::File(FileError::DiskFull),
            false => Self::Store { what, source },
        }
    }
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Self::NoPermission
            | Self::Frame(_)
            | Self::Call(_)
            | Self::Arguments(_)
            | Self::Limit(_)
            | Self::Tool { .. }
            | Self::ForeignGrant(_)
            | Self::NoInterpreter(_)
            | Self::WorkspaceId
            | Self::Upload(_) => Code::InvalidArgument,
            Self::Grant(error) => error.code(),
            Self::Lease(_) => Code::PermissionDenied,
            Self::Hitl | Self::Driver(_) | Self::Stopped | Self::Unrecorded(_) => Code::Unavailable,
            Self::Refused(failure) => failure.code(),
            Self::Audit(error) => error.code(),
            Self::Isolation(_) | Self::WorkspaceElsewhere(_) | Self::WorkspaceLost => {
                Code::FailedPrecondition
            }
            Self::NotAdmitted(_) | Self::Transfers(_) | Self::ManyWorkspaces(_) => Code::ResourceExhausted,
            Self::BrokenOff(_) => Code::DeadlineExceeded,
            Self::NoWorkspace => Code::NotFound,
            Self::File(error) => match error {
                FileError::NotFound(_) => Code::NotFound,
                FileError::Full { .. } | FileError::DiskFull => Code::ResourceExhausted,
                FileError::Io { .. } => Code::Internal,
                _ => Code::InvalidArgument,
            },
            Self::Store { .. } => Code::Internal,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::NoPermission | Self::Frame(_) | Self::WorkspaceId => Reason::InvalidArgument,
            Self::Call(_)
            | Self::Arguments(_)
            | Self::Limit(_)
            | Self::Tool { .. }
            | Self::NoInterpreter(_)
            | Self::Upload(_) => Reason::CallInvalid,
            Self::ForeignGrant(_) => Reason::CallMismatch,
            Self::Grant(error) => error.reason(),
            Self::Lease(_) => Reason::GrantInvalid,
            Self::Hitl => Reason::HitlUnavailable,
            // Not AUDIT_UNAVAILABLE, which promises that nothing was done.
            Self::Stopped | Self::Unrecorded(_) => Reason::Unavailable,
            Self::Refused(failure) => failure.reason(),
            Self::Audit(error) => error.reason(),
            Self::Isolation(_) => Reason::IsolationUnavailable,
            Self::NotAdmitted(_) | Self::Transfers(_) | Self::ManyWorkspaces(_) => Reason::LimitExceeded,
            Self::BrokenOff(_) => Reason::DeadlineExceeded,
            Self::Driver(_) => Reason::SandboxUnavailable,
            Self::NoWorkspace => Reason::NotFound,
            Self::WorkspaceElsewhere(_) => Reason::WorkspaceElsewhere,
            Self::WorkspaceLost => Reason::WorkspaceLost,
            Self::File(error) => match error {
                FileError::NotFound(_) => Reason::FileNotFound,
                FileError::Full { .. } | FileError::DiskFull => Reason::WorkspaceFull,
                FileError::TooLarge { .. } => Reason::LimitExceeded,
                FileError::Io { .. } => Reason::Internal,
                _ => Reason::CallInvalid,
            },
            Self::Store { .. } => Reason::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotAdmitted(_) | Self::Transfers(_) => Some(Duration::from_secs(1)),
            Self::Refused(failure) => failure.retry_after(),
            Self::Audit(error) => error.retry_after(),
            _ => None,
        }
    }
}

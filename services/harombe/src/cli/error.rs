//! What can keep a command from being done, in words for the person who typed it.

use std::path::PathBuf;
use std::process::ExitCode;

use harombe_error::Failure;

use crate::compose::StartError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{} ({}; see docs/errors/{}.md)", .0.message, .0.reason, .0.reason)]
    Refused(Failure),
    #[error("{told} ({reason}; see docs/errors/{reason}.md)")]
    NotRun { told: String, reason: String },
    #[error("interrupted")]
    Interrupted,
    #[error("terminated")]
    Terminated,
    #[error("there is no log at {}; name its data directory with --data DIR", .0.display())]
    NoLog(PathBuf),
    #[error("the server ended the answer too early; look at the run again with its id")]
    CutShort,
    #[error("{what} {}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Telemetry(#[from] harombe_telemetry::Error),
    #[error(transparent)]
    LogFormat(#[from] harombe_telemetry::InvalidFormat),
    #[error(transparent)]
    Secrets(#[from] harombe_secrets::Error),
    #[error("the configuration cannot be written as TOML")]
    Print(#[from] toml::ser::Error),
    #[error("the log cannot be read")]
    Log(#[source] harombe_audit::Error),
    #[error("not verified")]
    NotVerified(#[source] harombe_audit::verify::VerifyError),
    #[error(
        "not verified: the log is not signed with the key that you gave: it is another log's key, or the log was replaced ({0})"
    )]
    OtherKey(harombe_audit::verify::Damage),
    #[error(transparent)]
    Model(#[from] harombe_embedding::Error),
    #[error("{0}")]
    NoModel(String),
    #[error("cannot fetch {url}")]
    Fetch {
        url: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot write to the terminal")]
    Terminal(#[from] std::io::Error),
    #[error("{0}")]
    Usage(String),
}

/// 128 and the number of SIGINT, as shells have it.
pub(super) const INTERRUPTED: u8 = 130;
/// The same of SIGTERM.
pub(super) const TERMINATED: u8 = 143;

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(Failure::from(status))
    }
}

impl Error {
    /// What the process exits with: what a shell would report of an interrupted command, else 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Interrupted => ExitCode::from(INTERRUPTED),
            Self::Terminated => ExitCode::from(TERMINATED),
            _ => ExitCode::FAILURE,
        }
    }

    /// The error and what caused it, in words for a person.
    #[must_use]
    pub fn report(&self) -> String {
        report(self)
    }
}

/// An error and what caused it.
pub(super) fn report(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string().trim_end().to_owned();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {}", error.to_string().trim_end()));
        source = error.source();
    }
    text
}

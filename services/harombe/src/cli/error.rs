//! What can keep a command from being done, in words for the person who typed it.

use std::path::PathBuf;

use harombe_error::Failure;

use crate::compose::StartError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{} ({}; see docs/errors/{}.md)", .0.message, .0.reason, .0.reason)]
    Refused(Failure),
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
    #[error("the log cannot be read")]
    Log(#[source] harombe_audit::Error),
    #[error("not verified: {0}")]
    NotVerified(harombe_audit::verify::VerifyError),
    #[error("cannot write to the terminal")]
    Terminal(#[from] std::io::Error),
    #[error("{0}")]
    Usage(String),
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(Failure::from(status))
    }
}

impl Error {
    /// The error and what caused it, on one line.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        text
    }
}

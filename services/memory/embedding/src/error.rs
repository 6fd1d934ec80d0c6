//! What can keep a text from being embedded, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why there are no vectors.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The name is not in `models.json`.
    #[error("there is no model called {name}; `harombe models list` shows those there are")]
    UnknownModel {
        /// What was asked for.
        name: String,
    },
    /// A file of the model is not there.
    #[error("there is no {file} in {}; `harombe models pull` gets the model", folder.display())]
    ModelAbsent {
        /// The model's folder.
        folder: PathBuf,
        /// The first file that is missing.
        file: String,
    },
    /// A file of the model is not the one that was pinned.
    #[error("{} {why}; `harombe models pull` puts the right one there", file.display())]
    ModelAltered {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What was offered as a file of the model is something else. Nothing was placed.
    #[error("what came as {file} {why}; nothing was changed")]
    WrongFile {
        /// The file it should be.
        file: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file of the model could not be read or written.
    #[error("cannot {what} {}", file.display())]
    ModelFile {
        /// What was tried: `read`, `write`.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// The tokenizer file cannot be used although it is the pinned one, or it failed on a text.
    #[error("the tokenizer failed: {0}")]
    Tokenizer(String),
    /// The threads that embed could not be started.
    #[error("cannot start a thread to embed on")]
    Threads(#[source] Arc<io::Error>),
    /// The queue is full.
    #[error("too many texts wait to be embedded; try again in a moment")]
    Busy,
    /// The embedder was shut down.
    #[error("the embedder has been shut down")]
    Closed,
    /// The upstream cannot be asked.
    #[error("the embeddings upstream cannot be reached; look whether it runs and is configured")]
    Unreachable {
        /// Whether trying again may help.
        retry: bool,
        /// Why not.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The upstream did not answer in time.
    #[error("the embeddings upstream did not answer within {} s", after.as_secs())]
    Timeout {
        /// How long it had.
        after: Duration,
    },
    /// The upstream wants to be asked later.
    #[error("the embeddings upstream has too much to do (HTTP {status})")]
    Overloaded {
        /// 408, 425, 429 or 503.
        status: u16,
        /// When it wants to be asked again, if it said.
        after: Option<Duration>,
    },
    /// The upstream failed.
    #[error("the embeddings upstream failed (HTTP {status}): {told}")]
    Failed {
        /// 5xx.
        status: u16,
        /// The beginning of what it said.
        told: String,
    },
    /// The upstream does not do what it was asked; asking again changes nothing.
    #[error("the embeddings upstream refused (HTTP {status}): {told}; look at its model and credential")]
    Refused {
        /// What it answered with.
        status: u16,
        /// The beginning of what it said.
        told: String,
    },
    /// The upstream answered with something that is not vectors of the configured model.
    #[error("the answer of the embeddings upstream cannot be used: {why}; look at its model and dimension")]
    Answer {
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    /// Whether the same call may succeed later with nothing changed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy | Self::Timeout { .. } | Self::Overloaded { .. } | Self::Failed { .. } => true,
            Self::Unreachable { retry, .. } => *retry,
            _ => false,
        }
    }

    /// Whether a text may be what is wrong, so that another one may be embedded although this one never is. Whoever wants to
    /// know for sure asks with another text: a model that is not there refuses that as well.
    #[must_use]
    pub fn may_be_the_texts(&self) -> bool {
        match self {
            // what may be refused for what it says (403: by a filter on the way) or for its length
            Self::Refused { status, .. } => matches!(status, 400 | 403 | 413 | 422 | 451),
            Self::Unreachable { retry, .. } => !retry,
            Self::Tokenizer(_) | Self::Answer { .. } => true,
            _ => false,
        }
    }

    /// How long to wait before the next attempt, when the upstream said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { after, .. } => *after,
            _ => None,
        }
    }

    pub(crate) fn read(file: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::file("read", file, source)
    }

    pub(crate) fn write(file: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::file("write", file, source)
    }

    fn file(what: &'static str, file: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::ModelFile {
            what,
            file: file.into(),
            source: Arc::new(source),
        }
    }
}

//! What can go wrong with a vector store.

use std::io;
use std::path::PathBuf;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Give it to one process only, or let them share a Qdrant server.
    #[error("the vector store {} is in use by {owner}", folder.display())]
    Locked { folder: PathBuf, owner: String },
    /// Try again a little later.
    #[error("the vector store has too much to do")]
    Busy,
    /// Nothing is known about what became of the call; it may be repeated.
    #[error("the Qdrant server cannot be reached: {reason}")]
    Unreachable { reason: String },
    /// The server understood the call and did not do it.
    #[error("the Qdrant server refused: {reason}")]
    Refused { reason: String },
    #[error("there is no collection {name}")]
    Missing { name: String },
    #[error("collection {name} has vectors of {there} numbers, not of {asked}")]
    Dimension { name: String, there: u32, asked: u32 },
    /// The caller's fault.
    #[error("{0}")]
    Invalid(String),
    /// Nothing was written; searches go on.
    #[error("{free} bytes are free beside the vectors, fewer than the {least} that are kept free")]
    NoSpace { free: u64, least: u64 },
    /// The engine failed. Asking for the collection again repairs it, or puts it aside and makes an empty one.
    #[error("collection {name} is damaged: {reason}")]
    Damaged { name: String, reason: String },
    #[error("{what} {}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    #[error("the vector store is closed")]
    Closed,
}

impl Error {
    /// Whether the same call may well succeed a little later, without anybody doing anything.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Busy | Self::Unreachable { .. } | Self::NoSpace { .. })
    }

    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

//! What keeps vectors from being written.

use std::time::Duration;

use crate::error::Error;

/// Why a round of indexing ended early. It is tried again in any case; nothing is lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the store failed")]
    Store(#[from] Error),
    #[error("the vectors cannot be written")]
    Vectors(#[from] harombe_vectors::Error),
    #[error("memories cannot be embedded")]
    Embedding(#[from] harombe_embedding::Error),
    /// Another process writes the vectors now.
    #[error("another process took over the writing of vectors")]
    Superseded,
}

impl Fault {
    /// Whether the vectors must be looked at anew before anything is written to them.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Superseded
                | Self::Vectors(
                    harombe_vectors::Error::Damaged { .. }
                        | harombe_vectors::Error::Missing { .. }
                        | harombe_vectors::Error::Dimension { .. }
                        | harombe_vectors::Error::Closed
                )
        )
    }

    /// How long to wait at least before it is tried again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Embedding(error) => error.retry_after(),
            _ => None,
        }
    }

    /// By which it is counted.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Store(_) => "store",
            Self::Vectors(_) => "vectors",
            Self::Embedding(_) => "embedding",
            Self::Superseded => "superseded",
        }
    }
}

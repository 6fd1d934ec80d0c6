//! What can be wrong with a log, in the words that its owner reads.

use std::fmt;

/// The first thing found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub kind: Kind,
    /// The index of the first bad entry, where one can be named.
    pub entry: Option<u64>,
    /// What exactly was seen.
    pub detail: String,
}

/// The sort of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The bytes of an entry are not those that were signed.
    Changed,
    /// The sealed details of an entry are not those that its leaf names.
    DetailsChanged,
    /// An entry is missing although later ones are there.
    Removed,
    /// The newest entries are missing.
    CutTail,
    /// An entry is there that was never signed.
    Inserted,
    /// An entry stands at another place than the one that was signed.
    Reordered,
    /// A stored hash of the tree does not follow from the entries.
    TreeChanged,
    /// A checkpoint is not signed by the log's key, or says something else than the log.
    ForgedCheckpoint,
    /// The log has another history than the one that a checkpoint kept elsewhere was signed for.
    Forked,
    /// Bookkeeping beside the entries contradicts them.
    Inconsistent,
    /// The file cannot be read as a database.
    Unreadable,
}

impl Kind {
    /// A short name for scripts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::DetailsChanged => "details-changed",
            Self::Removed => "removed",
            Self::CutTail => "cut-tail",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::TreeChanged => "tree-changed",
            Self::ForgedCheckpoint => "forged-checkpoint",
            Self::Forked => "forked",
            Self::Inconsistent => "inconsistent",
            Self::Unreadable => "unreadable",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Changed => "was changed",
            Self::DetailsChanged => "has other details than those it was written with",
            Self::Removed => "was removed",
            Self::CutTail => "and what followed were cut off",
            Self::Inserted => "was inserted",
            Self::Reordered => "was put in another place",
            Self::TreeChanged => "does not agree with the stored tree",
            Self::ForgedCheckpoint => "is covered by a checkpoint that the log did not sign so",
            Self::Forked => "or one before it is not the one that was signed once",
            Self::Inconsistent => "does not agree with the bookkeeping of the log",
            Self::Unreadable => "cannot be read",
        }
    }
}

impl Damage {
    pub(super) fn new(kind: Kind, entry: Option<u64>, detail: impl Into<String>) -> Self {
        Self {
            kind,
            entry,
            detail: detail.into(),
        }
    }

    pub(super) fn unreadable(entry: Option<u64>, error: &harombe_sql::Error) -> Self {
        use std::error::Error as _;
        let cause = error
            .source()
            .map(|cause| format!(": {cause}"))
            .unwrap_or_default();
        Self::new(Kind::Unreadable, entry, format!("{error}{cause}"))
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "entry {entry} {} ({})", self.kind.sentence(), self.detail),
            None => write!(f, "the log {} ({})", self.kind.sentence(), self.detail),
        }
    }
}

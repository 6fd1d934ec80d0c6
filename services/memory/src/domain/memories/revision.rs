//! Where an owner's memories stand: what has changed since is told by comparing two of them.

/// Where an owner's memories stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Revision {
    /// Which of the owner's name it is: another one after a person was erased. 0: there is none.
    pub(crate) incarnation: u64,
    /// Higher with each change.
    pub(crate) rev: u64,
    /// Higher with each erasure, which no memory's revision tells of.
    pub(crate) epoch: u64,
}

impl Revision {
    /// Whether the other comes of this one, or this one of it, by changes that have revisions.
    pub(crate) fn is_of(self, other: Self) -> bool {
        (self.incarnation, self.epoch) == (other.incarnation, other.epoch)
    }
}

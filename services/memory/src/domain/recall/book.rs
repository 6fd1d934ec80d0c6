//! The lexical index of one owner, and up to which change it knows the owner's memories.

use harombe_retrieval::{Index, Item};

use super::narrow::{kind, label};
use crate::domain::{Memory, Revision};

/// The least that an owner's index counts in the cache, in bytes.
const LEAST: usize = 4096;

/// An owner's memories as far as they are to be found by words: all, or the newest that fit.
pub(crate) struct Book {
    pub(crate) index: Index,
    at: Revision,
    /// The change after which it was begun.
    since: u64,
    /// Something had to go.
    full: bool,
    /// Bytes that the index may have.
    most: usize,
}

impl Book {
    /// Without memories, knowing no change after `at`.
    pub(crate) fn empty(at: Revision, most: usize) -> Self {
        Self {
            index: Index::new(),
            at,
            since: at.rev,
            full: false,
            most,
        }
    }

    /// Takes changed memories in, by revision; what it knows already changes nothing. What is too much goes, the longest
    /// unchanged first.
    pub(crate) fn take_in(&mut self, changed: &[Memory]) {
        for memory in changed {
            if memory.rev <= self.at.rev {
                continue;
            }
            self.at.rev = memory.rev;
            if memory.is_findable() {
                self.index.put(item(memory));
                self.full |= self.index.fit(self.most);
            } else {
                self.index.remove(memory.point);
            }
        }
    }

    /// There are no more changes up to this one.
    pub(crate) fn reach(&mut self, rev: u64) {
        self.at.rev = self.at.rev.max(rev);
    }

    pub(crate) fn at(&self) -> Revision {
        self.at
    }

    /// Whether there was more than fits.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether it holds all that may be found, as of its revision.
    pub(crate) fn holds_all(&self) -> bool {
        self.since == 0 && !self.full
    }

    pub(crate) fn bytes(&self) -> usize {
        LEAST + self.index.bytes()
    }
}

/// A memory as it is ranked.
pub(crate) fn item(memory: &Memory) -> Item {
    #[expect(clippy::cast_possible_truncation, reason = "a number from 0 to 1")]
    let importance = memory.importance as f32;
    Item {
        id: memory.point,
        text: memory.text.clone(),
        speaker: memory.speaker.clone(),
        session: memory.session.map(|session| *session.as_uuid()),
        ordinal: memory.ordinal,
        time_ms: memory.time.as_millis(),
        kind: kind(memory.kind),
        label: label(memory.label),
        agent: memory.agent.clone(),
        importance,
        superseded: memory.is_superseded(),
    }
}

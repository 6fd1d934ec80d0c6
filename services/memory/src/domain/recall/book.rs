//! The lexical index of one owner, and up to which change it knows the owner's memories.

use harombe_retrieval::{Index, Item};

use super::narrow::{kind, label};
use crate::domain::{Memory, Revision};

/// The least that an owner's index counts in the cache, in bytes.
const LEAST: usize = 4096;

/// An owner's memories as far as they are to be found by words: all, or the newest that fit.
pub(crate) struct Book {
    pub(crate) index: Index,
    pub(crate) at: Revision,
    /// Bytes that the index may have.
    most: usize,
}

impl Book {
    /// Without memories, knowing no change after `at`.
    pub(crate) fn empty(at: Revision, most: usize) -> Self {
        Self {
            index: Index::new(),
            at,
            most,
        }
    }

    /// Takes changed memories in, by revision. What is too much is forgotten, the longest unchanged first.
    pub(crate) fn take_in(&mut self, changed: &[Memory]) {
        for memory in changed {
            self.at.rev = self.at.rev.max(memory.rev);
            if !memory.is_findable() {
                self.index.remove(memory.point);
            } else {
                self.index.put(item(memory));
            }
        }
        while self.index.bytes() > self.most && self.index.remove_oldest().is_some() {}
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

//! What consolidation reads and writes.

use harombe_types::{EventId, MemoryId, SessionId, Timestamp};

use crate::domain::{Deed, Owner, Saving, Step};

/// An owner of changes that nobody has looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) owner: Owner,
    /// Up to which revision all was looked at.
    pub(crate) looked: u64,
    /// The owner's revision.
    pub(crate) rev: u64,
}

/// Why a memory holds no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The other says the same.
    Merged,
    /// The other gives what it is about another value.
    Superseded,
}

impl Why {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::Superseded => "superseded",
        }
    }
}

/// A memory, and the one that takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) old: MemoryId,
    pub(crate) by: MemoryId,
    pub(crate) why: Why,
}

/// A fact, and what other facts that may belong to it are found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keyed {
    pub(crate) seq: u64,
    pub(crate) keys: Vec<i64>,
}

/// A stretch of a session, by ordinals: what one summary, and those that take its place, can cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Segment {
    pub(crate) session: SessionId,
    pub(crate) first: u32,
    pub(crate) last: u32,
}

/// Memories of a segment.
const LENGTH: u32 = 400;

impl Segment {
    /// The one in which this ordinal is.
    pub(crate) fn of(session: SessionId, ordinal: u32) -> Self {
        let before = ordinal.saturating_sub(1) / LENGTH * LENGTH;
        Self {
            session,
            first: before.saturating_add(1),
            last: before.saturating_add(LENGTH),
        }
    }
}

/// The newest summary of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Former {
    pub(crate) id: MemoryId,
    /// The audit log does not have it yet.
    pub(crate) pending: bool,
    /// It is to be found, and another can take its place.
    pub(crate) current: bool,
}

/// What of a segment has been told in a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// Turns that can be told of.
    pub(crate) turns: u32,
    /// Those of them that no summary covers.
    pub(crate) new: u32,
    /// Whether the session has gone on behind the segment.
    pub(crate) over: bool,
    pub(crate) former: Option<Former>,
}

/// Turns of which it takes so many for a summary, and for the next.
const TURNS: u32 = 20;

impl Told {
    /// Whether it is time for a summary.
    pub(crate) fn is_due(&self) -> bool {
        self.new >= TURNS || (self.over && self.new > 0 && self.turns >= TURNS)
    }
}

/// A summary to save, and what it covers.
#[derive(Debug, Clone)]
pub(crate) struct NewSummary {
    pub(crate) saving: Saving,
    pub(crate) segment: Segment,
    /// The highest ordinal that it covers.
    pub(crate) reaches: u32,
    /// [`crate::domain::Memory::seq`] of all that it was made of, ascending: when one of them is gone, the summary is not saved.
    pub(crate) sources: Vec<u64>,
}

/// What came of looking at some of an owner's changes.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) owner: Owner,
    /// Where it began: when somebody else has been there since, nothing of it is done.
    pub(crate) from: u64,
    /// Up to which revision all has been looked at with it.
    pub(crate) to: u64,
    pub(crate) facts: Vec<Keyed>,
    pub(crate) links: Vec<Link>,
    /// The event of the links.
    pub(crate) event: EventId,
    pub(crate) summaries: Vec<NewSummary>,
    pub(crate) now: Timestamp,
}

impl Plan {
    /// What the log is to say of these links.
    pub(crate) fn step(&self, links: &[Link]) -> Step {
        Step {
            event: self.event,
            owner: self.owner.clone(),
            actor: crate::domain::Actor::Service,
            at: self.now,
            deed: Deed::linked(links),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_follow_each_other() {
        let session = SessionId::from(uuid::Uuid::nil());
        for (ordinal, first, last) in [(1, 1, 400), (400, 1, 400), (401, 401, 800), (0, 1, 400)] {
            let segment = Segment::of(session, ordinal);
            assert_eq!((segment.first, segment.last), (first, last), "{ordinal}");
        }
        assert_eq!(Segment::of(session, u32::MAX).last, u32::MAX);
    }

    #[test]
    fn a_summary_is_due_after_twenty_turns_or_when_the_session_has_gone_on() {
        let due = |turns, new, over| {
            Told {
                turns,
                new,
                over,
                former: None,
            }
            .is_due()
        };
        assert!(due(20, 20, false) && due(400, 20, false));
        assert!(!due(19, 19, false) && !due(39, 19, false) && !due(19, 19, true));
        assert!(due(400, 1, true) && !due(400, 0, true));
    }
}

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

/// Who has written a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// Nobody: it is made of the turns' own sentences.
    Sentences,
    Model,
}

impl Writer {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sentences => "sentences",
            Self::Model => "model",
        }
    }
}

/// The newest summary of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Former {
    pub(crate) id: MemoryId,
    pub(crate) by: Writer,
    /// The highest ordinal that it covers.
    pub(crate) reaches: u32,
    /// The event that records it.
    pub(crate) event: EventId,
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
    /// Those of them that no summary of a model's covers.
    pub(crate) unwritten: u32,
    /// How far the session has gone on behind the segment.
    pub(crate) beyond: u32,
    pub(crate) former: Option<Former>,
}

/// Turns of which it takes so many for a summary, and for the next.
pub(super) const TURNS: u32 = 20;

impl Told {
    /// Whether it is time for a summary of the turns' own sentences. One of a model's is left in its place for as many turns
    /// more, in which the model can write the next.
    pub(crate) fn is_due(&self) -> bool {
        let patience = match self.former.map(|former| former.by) {
            Some(Writer::Model) => TURNS,
            Some(Writer::Sentences) | None => 0,
        };
        self.asks(self.new, patience)
    }

    /// Whether it is time for a model's.
    pub(crate) fn is_for_a_model(&self) -> bool {
        self.asks(self.unwritten, 0)
    }

    fn asks(&self, untold: u32, patience: u32) -> bool {
        untold >= TURNS + patience || (self.beyond > patience && untold > 0 && self.turns >= TURNS)
    }
}

/// A summary to save, and what it covers.
#[derive(Debug, Clone)]
pub(crate) struct NewSummary {
    pub(crate) saving: Saving,
    pub(crate) segment: Segment,
    pub(crate) by: Writer,
    /// The newest summary of the segment before it: when that is another one by then, this one is not saved.
    pub(crate) former: Option<MemoryId>,
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
        let due = |turns, new, beyond| {
            let told = Told {
                turns,
                new,
                unwritten: new,
                beyond,
                former: None,
            };
            assert_eq!(told.is_due(), told.is_for_a_model());
            told.is_due()
        };
        assert!(due(20, 20, 0) && due(400, 20, 0));
        assert!(!due(19, 19, 0) && !due(39, 19, 0) && !due(19, 19, 1));
        assert!(due(400, 1, 1) && !due(400, 0, 1));
    }

    #[test]
    fn a_models_summary_stays_for_twenty_turns_more() {
        let due = |turns, new, beyond| {
            let former = Former {
                id: MemoryId::from(uuid::Uuid::nil()),
                by: Writer::Model,
                reaches: 1,
                event: EventId::from(uuid::Uuid::nil()),
                pending: false,
                current: true,
            };
            let told = Told {
                turns,
                new,
                unwritten: new,
                beyond,
                former: Some(former),
            };
            (told.is_due(), told.is_for_a_model())
        };
        assert_eq!(due(60, 19, 0), (false, false));
        assert_eq!(due(60, 20, 0), (false, true));
        assert_eq!(due(60, 39, 0), (false, true));
        assert_eq!(due(60, 40, 0), (true, true));
        assert_eq!(due(400, 5, 20), (false, true));
        assert_eq!(due(400, 5, 21), (true, true));
    }
}

//! What a model is given to sum up, and what its summary is saved as.

use harombe_types::{EventId, MemoryId, RunPrincipal, SessionId, Timestamp};
use uuid::Uuid;

use super::model::{Former, NewSummary, Segment, Writer};
use crate::domain::memories::check::IMPORTANCE;
use crate::domain::{Actor, Label, Memory, MemoryKind, MemoryLimits, NewMemory, Owner, Saving, Step};

/// Bytes that are counted for a turn beside its text.
const HEAD: usize = 128;

/// Somebody wants to sum up a segment.
#[derive(Debug, Clone)]
pub(crate) struct Taking {
    pub(crate) owner: Owner,
    pub(crate) segment: Segment,
    /// Of the summary that is to be written.
    pub(crate) id: MemoryId,
    pub(crate) now: Timestamp,
    /// Until then nobody else is given any of the session.
    pub(crate) until: Timestamp,
    /// Bytes of turns, at most.
    pub(crate) room: usize,
}

/// The newest summary of a segment that a model wrote.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) memory: Memory,
    pub(crate) reaches: u32,
}

impl Written {
    pub(crate) fn is_pending(&self) -> bool {
        self.memory.audit_index.is_none()
    }

    /// Whether the next one may be made of it: what its person has forgotten is made anew.
    pub(crate) fn is_shown(&self) -> bool {
        self.memory.hidden_at.is_none()
    }
}

/// What somebody is to sum up.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) id: MemoryId,
    /// What a model wrote of the segment before.
    pub(crate) former: Option<Memory>,
    /// What was said after that.
    pub(crate) turns: Vec<Memory>,
}

impl Work {
    /// The highest ordinal that it covers.
    pub(crate) fn reaches(&self) -> u32 {
        self.turns.last().map_or(0, |turn| turn.ordinal)
    }

    /// [`Memory::seq`] of all that it is made of.
    pub(crate) fn sources(&self) -> Vec<u64> {
        self.turns
            .iter()
            .chain(&self.former)
            .map(|memory| memory.seq)
            .collect()
    }
}

impl Taking {
    /// The oldest of the turns that there is room for, and one in any case.
    pub(crate) fn work(&self, former: Option<Written>, mut turns: Vec<Memory>) -> Option<Work> {
        let mut room = self.room;
        let fits = turns.iter().position(|turn| {
            let needed = HEAD + turn.text.len() + turn.speaker.len();
            let left = room.checked_sub(needed);
            room = left.unwrap_or_default();
            left.is_none()
        });
        turns.truncate(fits.unwrap_or(turns.len()).max(1));
        (!turns.is_empty()).then(|| Work {
            id: self.id,
            former: former.map(|former| former.memory),
            turns,
        })
    }
}

/// A summary that was written.
#[derive(Debug, Clone)]
pub(crate) struct Putting {
    pub(crate) run: RunPrincipal,
    pub(crate) id: MemoryId,
    pub(crate) point: Uuid,
    pub(crate) text: String,
    pub(crate) event: EventId,
    pub(crate) now: Timestamp,
    pub(crate) most: MemoryLimits,
}

/// What it was made of, as that is now.
#[derive(Debug, Clone)]
pub(crate) struct Basis {
    pub(crate) segment: Segment,
    /// The last turn's.
    pub(crate) reaches: u32,
    pub(crate) time: Timestamp,
    pub(crate) agent: String,
    pub(crate) sources: Vec<u64>,
    /// The lowest trust of them.
    pub(crate) label: Label,
    /// The newest summary of the segment now, whoever wrote it.
    pub(crate) former: Option<Former>,
}

impl Putting {
    pub(crate) fn owner(&self) -> Owner {
        Owner {
            tenant: self.run.tenant.clone(),
            subject: self.run.subject.clone(),
        }
    }

    pub(crate) fn session(&self) -> SessionId {
        self.run.session
    }

    /// As it is saved. What reaches further than it keeps its place: then it is only what the next one is made of.
    pub(crate) fn summary(&self, basis: Basis) -> NewSummary {
        let current = basis.former.filter(|former| former.current);
        let (further, before) = match current {
            Some(former) if former.reaches > basis.reaches => (Some(former.id), None),
            former => (None, former.map(|former| former.id)),
        };
        let memory = NewMemory {
            id: self.id,
            point: self.point,
            kind: MemoryKind::Summary,
            text: self.text.clone(),
            speaker: String::new(),
            time: basis.time,
            valid_to: further.map(|_| basis.time),
            superseded_by: further,
            supersedes: before,
            agent: basis.agent,
            session: Some(self.session()),
            run: Some(self.run.run),
            // it was not said: it has no place among what was
            ordinal: Some(0),
            // a model's words, whatever it was shown
            label: basis.label.max(Label::Model),
            importance: IMPORTANCE,
            hidden_at: None,
            erased_at: None,
        };
        let saving = Saving {
            owner: self.owner(),
            memories: vec![memory],
            event: self.event,
            actor: Actor::Run {
                agent: self.run.agent.clone(),
                session: self.run.session,
                run: self.run.run,
            },
            now: self.now,
            most: self.most,
        };
        NewSummary {
            saving,
            segment: basis.segment,
            by: Writer::Model,
            former: basis.former.map(|former| former.id),
            reaches: basis.reaches,
            sources: basis.sources,
        }
    }
}

/// What became of a [`Putting`].
#[derive(Debug, Clone)]
pub(crate) enum Put {
    /// It is kept, and must be on record, in order, before it is seen.
    Kept(Box<Memory>, Vec<Step>),
    /// The summary whose place it takes must be on record first.
    First(Vec<Step>),
    /// What it was made of has changed, or is somebody else's work now.
    Outdated,
}

#[cfg(test)]
mod tests {
    use harombe_types::{RunId, SystemClock};

    use super::*;

    fn turn(ordinal: u32, bytes: usize) -> Memory {
        let nil = Uuid::nil();
        Memory {
            id: MemoryId::from(nil),
            point: nil,
            seq: u64::from(ordinal) + 100,
            rev: 1,
            owner: owner(),
            kind: MemoryKind::Turn,
            text: "x".repeat(bytes),
            speaker: String::new(),
            time: Timestamp::from_millis(1),
            valid_to: None,
            superseded_by: None,
            agent: "default".to_owned(),
            session: None,
            run: None,
            ordinal,
            label: Label::Person,
            importance: 0.5,
            event: EventId::from(nil),
            audit_index: Some(1),
            saved_at: Timestamp::from_millis(1),
            hidden_at: None,
            erased_at: None,
        }
    }

    fn owner() -> Owner {
        Owner {
            tenant: "acme".parse().unwrap(),
            subject: "ann".parse().unwrap(),
        }
    }

    fn segment() -> Segment {
        Segment::of(SessionId::from(Uuid::nil()), 1)
    }

    #[test]
    fn the_oldest_turns_that_fit_are_given_and_one_in_any_case() {
        let given = |room: usize, bytes: &[usize]| {
            let taking = Taking {
                owner: owner(),
                segment: segment(),
                id: MemoryId::from(Uuid::nil()),
                now: Timestamp::from_millis(0),
                until: Timestamp::from_millis(1),
                room,
            };
            let turns = (1..).zip(bytes).map(|(ordinal, bytes)| turn(ordinal, *bytes));
            taking.work(None, turns.collect()).map(|work| work.reaches())
        };
        assert_eq!(given(1000, &[]), None);
        assert_eq!(given(10, &[500, 1]), Some(1));
        assert_eq!(given(2 * HEAD + 20, &[10, 10, 10]), Some(2));
        assert_eq!(given(2 * HEAD + 19, &[10, 10, 10]), Some(1));
        // what does not fit is not passed over
        assert_eq!(given(3 * HEAD, &[10, 1000, 10]), Some(1));
    }

    #[test]
    fn a_summary_takes_the_place_of_one_that_does_not_reach_further() {
        let former = |reaches, current| Former {
            id: MemoryId::from(Uuid::max()),
            by: Writer::Sentences,
            reaches,
            event: EventId::from(Uuid::nil()),
            pending: false,
            current,
        };
        let putting = Putting {
            run: RunPrincipal {
                tenant: owner().tenant,
                subject: owner().subject,
                agent: "default".parse().unwrap(),
                session: SessionId::from(Uuid::nil()),
                run: RunId::generate(&SystemClock),
            },
            id: MemoryId::from(Uuid::nil()),
            point: Uuid::nil(),
            text: "in short".to_owned(),
            event: EventId::from(Uuid::nil()),
            now: Timestamp::from_millis(9),
            most: MemoryLimits {
                per_subject: 1,
                per_tenant: 1,
            },
        };
        let check = |label, former: Option<Former>| {
            let basis = Basis {
                segment: segment(),
                reaches: 30,
                time: Timestamp::from_millis(5),
                agent: "default".to_owned(),
                sources: vec![1],
                label,
                former,
            };
            let memory = putting.summary(basis).saving.memories.pop().unwrap();
            let ids = (memory.supersedes.is_some(), memory.superseded_by.is_some());
            assert_eq!(memory.valid_to.is_some(), ids.1);
            (memory.label, ids)
        };
        assert_eq!(check(Label::Person, None), (Label::Model, (false, false)));
        assert_eq!(
            check(Label::Tool, Some(former(30, true))),
            (Label::Tool, (true, false))
        );
        assert_eq!(
            check(Label::Imported, Some(former(31, true))),
            (Label::Imported, (false, true))
        );
        assert_eq!(
            check(Label::Model, Some(former(31, false))),
            (Label::Model, (false, false))
        );
    }
}

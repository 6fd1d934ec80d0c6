//! Memories, and what is done with them.

use harombe_types::{EventId, MemoryId, RunId, SessionId, Timestamp};
use uuid::Uuid;

use super::{Actor, Deed, Step};
use crate::domain::{Owner, Whose};
use crate::error::Error;

/// What a memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum MemoryKind {
    Turn,
    Fact,
    Summary,
}

impl MemoryKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Fact => "fact",
            Self::Summary => "summary",
        }
    }
}

/// Who is behind the words; further down means less to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Label {
    Person,
    Model,
    Tool,
    Imported,
}

impl Label {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Model => "model",
            Self::Tool => "tool",
            Self::Imported => "imported",
        }
    }
}

/// A memory as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Memory {
    /// The owner's name for it: two owners may have the same.
    pub(crate) id: MemoryId,
    /// Its name among vectors and in indexes: nobody else's memory has it, and it is never used again.
    pub(crate) point: Uuid,
    /// Grows with every memory that is saved.
    pub(crate) seq: u64,
    /// The owner's revision at its last change; 0 as long as the audit log does not have it.
    pub(crate) rev: u64,
    pub(crate) owner: Owner,
    pub(crate) kind: MemoryKind,
    pub(crate) text: String,
    pub(crate) speaker: String,
    pub(crate) time: Timestamp,
    /// Set as soon as it holds no longer.
    pub(crate) valid_to: Option<Timestamp>,
    pub(crate) superseded_by: Option<MemoryId>,
    pub(crate) agent: String,
    pub(crate) session: Option<SessionId>,
    pub(crate) run: Option<RunId>,
    pub(crate) ordinal: u32,
    pub(crate) label: Label,
    pub(crate) importance: f64,
    /// The event that records it.
    pub(crate) event: EventId,
    pub(crate) audit_index: Option<u64>,
    pub(crate) saved_at: Timestamp,
    pub(crate) hidden_at: Option<Timestamp>,
    /// When it is erased.
    pub(crate) erased_at: Option<Timestamp>,
}

impl Memory {
    /// Whether a search may find it. What holds no longer is found by who asks for it.
    pub(crate) fn is_findable(&self) -> bool {
        self.audit_index.is_some() && self.hidden_at.is_none()
    }

    /// Whether another memory has its place, or it has ended without one.
    pub(crate) fn is_superseded(&self) -> bool {
        self.valid_to.is_some()
    }
}

/// A fact that somebody wants to be kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fact {
    pub(crate) id: MemoryId,
    pub(crate) text: String,
    pub(crate) importance: Option<f64>,
    /// A person's own words are labelled as such, whatever is said here.
    pub(crate) label: Label,
    pub(crate) supersedes: Option<MemoryId>,
}

/// A memory to save.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewMemory {
    pub(crate) id: MemoryId,
    pub(crate) point: Uuid,
    pub(crate) kind: MemoryKind,
    pub(crate) text: String,
    pub(crate) speaker: String,
    pub(crate) time: Timestamp,
    pub(crate) valid_to: Option<Timestamp>,
    pub(crate) superseded_by: Option<MemoryId>,
    /// Whose place it takes.
    pub(crate) supersedes: Option<MemoryId>,
    pub(crate) agent: String,
    pub(crate) session: Option<SessionId>,
    pub(crate) run: Option<RunId>,
    /// `None`: the next of its session.
    pub(crate) ordinal: Option<u32>,
    pub(crate) label: Label,
    pub(crate) importance: f64,
    pub(crate) hidden_at: Option<Timestamp>,
    pub(crate) erased_at: Option<Timestamp>,
}

/// Most memories that are kept, hidden ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryLimits {
    pub(crate) per_subject: u32,
    pub(crate) per_tenant: u32,
}

impl MemoryLimits {
    /// # Errors
    /// [`Error::TooManyMemories`] when there would be more than may.
    pub(crate) fn admit(self, of_subject: u64, of_tenant: u64) -> Result<(), Error> {
        let refused = |whose, most| Err(Error::TooManyMemories { whose, most });
        if of_subject > u64::from(self.per_subject) {
            refused(Whose::Subject, self.per_subject)
        } else if of_tenant > u64::from(self.per_tenant) {
            refused(Whose::Tenant, self.per_tenant)
        } else {
            Ok(())
        }
    }
}

/// Memories to save together: all or none, recorded by one event.
#[derive(Debug, Clone)]
pub(crate) struct Saving {
    pub(crate) owner: Owner,
    pub(crate) memories: Vec<NewMemory>,
    pub(crate) event: EventId,
    pub(crate) actor: Actor,
    pub(crate) now: Timestamp,
    pub(crate) most: MemoryLimits,
}

impl Saving {
    /// What the log is to say when these of them are new.
    pub(crate) fn step(&self, new: &[&NewMemory]) -> Step {
        Step {
            event: self.event,
            owner: self.owner.clone(),
            actor: self.actor.clone(),
            at: self.now,
            deed: Deed::saved(new),
        }
    }
}

/// What became of a [`Saving`].
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Saved {
    /// In the order given; one whose id was there already as it is there.
    pub(crate) memories: Vec<Memory>,
    pub(crate) new: u32,
    /// What must be on record before anybody is told, in order.
    pub(crate) steps: Vec<Step>,
}

/// Narrows a search or a list; what is empty does not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MemoryFilter {
    pub(crate) agent: Option<String>,
    pub(crate) sessions: Vec<SessionId>,
    pub(crate) kinds: Vec<MemoryKind>,
    pub(crate) labels: Vec<Label>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    /// Also what has been superseded.
    pub(crate) superseded: bool,
}

/// Which memories to list, most recently saved first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Listing {
    pub(crate) filter: MemoryFilter,
    /// Also those that are hidden.
    pub(crate) hidden: bool,
    /// Those with a lower [`Memory::seq`].
    pub(crate) before: Option<u64>,
    pub(crate) limit: u32,
}

/// A session of which not all is shown, and how many summaries of the rest are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unshown {
    pub(crate) session: SessionId,
    pub(crate) shown: Shown,
    pub(crate) limit: u32,
}

/// What is shown of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The turns of these runs.
    Runs(Vec<String>),
    /// All from this place on.
    From(u32),
}

/// Which of ranked memories are to be shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    /// Best first.
    pub(crate) points: Vec<Uuid>,
    pub(crate) limit: usize,
    /// Also what has been superseded.
    pub(crate) superseded: bool,
    /// But no turns of these runs.
    pub(crate) but_of_runs: Vec<String>,
    /// Nor turns that a client brought along to this session.
    pub(crate) but_claimed_in: Option<SessionId>,
}

/// Who hides a memory, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hide {
    /// It stays until a person says otherwise.
    ByModel,
    /// It is erased then.
    ByPerson { erase_at: Timestamp },
}

/// A change of one memory's visibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Hide(Hide),
    Restore,
}

/// A change to make.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) owner: Owner,
    pub(crate) id: MemoryId,
    pub(crate) act: Act,
    pub(crate) event: EventId,
    pub(crate) actor: Actor,
    pub(crate) now: Timestamp,
}

/// A memory after a change, and what must be on record before anybody is told, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Changed {
    pub(crate) memory: Memory,
    pub(crate) steps: Vec<Step>,
}

/// Which memories to erase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    One(MemoryId),
    /// Those whose time has come, at most so many.
    Due(u32),
}

/// Memories to erase for good.
#[derive(Debug, Clone)]
pub(crate) struct Erasure {
    pub(crate) owner: Owner,
    pub(crate) which: Which,
    pub(crate) event: EventId,
    pub(crate) actor: Actor,
    pub(crate) now: Timestamp,
}

impl Erasure {
    fn asked(&self) -> Option<MemoryId> {
        match self.which {
            Which::One(id) => Some(id),
            Which::Due(_) => None,
        }
    }

    /// What the log is to say when these were erased.
    pub(crate) fn step(&self, erased: &[MemoryId]) -> Step {
        Step {
            event: self.event,
            owner: self.owner.clone(),
            actor: self.actor.clone(),
            at: self.now,
            deed: Deed::erased(erased, self.asked()),
        }
    }
}

impl Change {
    /// What the log is to say when it was made, and these were hidden with it.
    pub(crate) fn step(&self, with_it: &[MemoryId]) -> Step {
        let deed = match self.act {
            Act::Hide(Hide::ByModel) => Deed::hidden(self.id, None, with_it),
            Act::Hide(Hide::ByPerson { erase_at }) => Deed::hidden(self.id, Some(erase_at), with_it),
            Act::Restore => Deed::restored(self.id),
        };
        Step {
            event: self.event,
            owner: self.owner.clone(),
            actor: self.actor.clone(),
            at: self.now,
            deed,
        }
    }
}

/// How much is kept of an owner: what is on record, hidden and superseded included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Stats {
    pub(crate) turns: u64,
    pub(crate) facts: u64,
    pub(crate) summaries: u64,
    pub(crate) hidden: u64,
    pub(crate) superseded: u64,
    pub(crate) bytes: u64,
    /// Puts in the outbox.
    pub(crate) waiting: u64,
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) newest: Option<Timestamp>,
}

/// What the vectors are to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Put,
    Delete,
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) seq: u64,
    pub(crate) owner: Owner,
    pub(crate) point: Uuid,
    pub(crate) what: What,
}

/// A memory that the vectors should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) point: Uuid,
    pub(crate) owner: Owner,
    pub(crate) seq: u64,
}

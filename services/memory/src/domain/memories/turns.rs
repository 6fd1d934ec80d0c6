//! Turns on their way to memories.

use std::sync::Arc;

use harombe_types::{EventId, RunId, SessionId, Timestamp};

use super::{Actor, MemoryLimits, NewMemory, Saving};
use crate::domain::Owner;

/// A run whose turn has no memories yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unremembered {
    /// The run's row.
    pub(crate) row: i64,
    pub(crate) owner: Owner,
    pub(crate) agent: String,
    pub(crate) session: SessionId,
    pub(crate) run: RunId,
    pub(crate) started: Timestamp,
    pub(crate) finished: Timestamp,
}

/// What was said in a run, encoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SessionTurn {
    /// Turns that a client brought along and that have no memories yet.
    pub(crate) claimed: Vec<Vec<u8>>,
    pub(crate) messages: Vec<Vec<u8>>,
    /// Whether its run was shown what may be anybody's words; `None` where nobody said so.
    pub(crate) saw_outside: Option<bool>,
}

/// A run's turn and its memories: it is remembered with them, and once.
#[derive(Debug, Clone)]
pub(crate) struct TurnMemories {
    pub(crate) run: RunId,
    /// What a client brought along is among them.
    pub(crate) claimed: bool,
    pub(crate) memories: Vec<NewMemory>,
}

impl TurnMemories {
    /// The turn when nothing of it is to be kept.
    pub(crate) fn forgotten(&self) -> Self {
        Self {
            memories: Vec::new(),
            ..*self
        }
    }
}

/// Turns of one owner that are remembered together.
#[derive(Debug, Clone)]
pub(crate) struct Remembering {
    pub(crate) owner: Owner,
    pub(crate) turns: Arc<[TurnMemories]>,
    pub(crate) event: EventId,
    pub(crate) now: Timestamp,
    pub(crate) most: MemoryLimits,
}

impl Remembering {
    /// What is saved when these of the turns are there and have no memories yet.
    pub(crate) fn saving<'a>(&self, there: impl Iterator<Item = &'a TurnMemories>) -> Saving {
        Saving {
            owner: self.owner.clone(),
            memories: there.flat_map(|turn| turn.memories.iter().cloned()).collect(),
            event: self.event,
            actor: Actor::Service,
            now: self.now,
            most: self.most,
        }
    }
}

//! What is remembered of a person: facts that were saved, turns that were said, and what is forgotten again.

pub(crate) mod check;
mod collect;
mod keeper;
mod model;
mod person;
mod pieces;
mod revision;
mod step;
mod turns;
mod upkeep;

pub(crate) use keeper::{Memories, MemoriesDeps};
pub(crate) use model::{
    Act, Change, Changed, Choice, Erasure, Fact, Hide, Label, Listing, Memory, MemoryFilter, MemoryKind,
    MemoryLimits, NewMemory, Saved, Saving, Shown, Stats, Stored, Unshown, What, Which, Work,
};
pub(crate) use revision::Revision;
pub(crate) use step::{Actor, Deed, Step};
pub(crate) use turns::{Remembering, SessionTurn, TurnMemories, Unremembered};

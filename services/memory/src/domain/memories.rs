//! What is remembered of a person: facts that were saved, turns that were said, and what is forgotten again.

mod model;
mod step;

pub(crate) use model::{
    Act, Change, Changed, Erasure, Hide, Label, Listing, Memory, MemoryFilter, MemoryKind, MemoryLimits,
    NewMemory, NewWork, OfRun, Revision, Saved, Saving, SessionTurn, Stats, Stored, Unremembered, What,
    Which, Work,
};
pub(crate) use step::{Actor, Deed, Step};

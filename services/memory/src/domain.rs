//! The use cases: who may see what, what may be written when, and how it is told to those who wait.
//!
//! Content is the wire message, encoded and decoded here; the store sees bytes.

mod check;
mod claimed;
pub(crate) mod consolidation;
mod content;
mod context;
mod conversations;
mod erasure;
mod estimate;
mod follow;
mod generation;
pub(crate) mod indexing;
mod journal;
mod limits;
pub(crate) mod memories;
mod model;
mod outside;
pub(crate) mod recall;
mod takeover;

pub(crate) use claimed::claimed_turns;
pub(crate) use content::{decode_entry, decode_message, decode_page, encode_entries};
pub(crate) use context::{Context, Contexts, Wanted};
pub(crate) use conversations::Conversations;
pub(crate) use erasure::{Belongings, Erased, ErasedSession, Erasures, Part};
pub(crate) use estimate::{bytes, content};
pub(crate) use follow::{Follow, Known};
pub(crate) use generation::{Generation, Source};
pub(crate) use journal::{Journal, Validity};
pub use limits::Whose;
pub(crate) use limits::{RunLimits, UnderWay};
pub(crate) use memories::{
    Act, Actor, Change, Changed, Choice, Deed, Erasure, Fact, Hide, Label, Listing, Memories, MemoriesDeps,
    Memory, MemoryFilter, MemoryKind, MemoryLimits, NewMemory, Remembering, Revision, Saved, Saving,
    SessionTurn, Shown, Stats, Step, Stored, Unremembered, Unshown, What, Which, Work,
};
pub(crate) use model::{
    ActiveRuns, Begin, Begun, Claimed, ClaimedTurn, Content, Entry, Expired, ExpiredPage, Finish, Header,
    Held, Lease, Mark, NewEntry, Owner, Page, Position, Progress, Renewal, Room, Run, RunState, Selection,
    Session, StoredPage, StoredTurn, Turns,
};
#[cfg(test)]
pub(crate) use outside::an_answer;
pub(crate) use outside::shows_outside;

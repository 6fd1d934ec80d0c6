//! The use cases: who may see what, what may be written when, and how it is told to those who wait.
//!
//! What is stored of a turn and of a journal entry is the wire message itself; everything else is plain types.

mod check;
mod conversations;
mod estimate;
mod follow;
mod journal;
mod model;
mod time;

pub(crate) use conversations::Conversations;
pub(crate) use estimate::{bytes, tokens};
pub(crate) use follow::Follow;
pub(crate) use journal::Journal;
pub(crate) use model::{
    Begin, Begun, Claimed, Expired, Finish, Header, Lease, Owner, Page, Progress, Run, RunState, Selection,
    Session, Turns,
};
pub(crate) use time::wire_time;

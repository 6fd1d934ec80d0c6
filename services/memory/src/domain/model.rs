//! The things that the service keeps.

use bytes::Bytes;
use harombe_proto::memory::v1::Turn;
use harombe_types::{RunId, RunPrincipal, SessionId, Subject, Tenant, Timestamp};

use super::RunLimits;

/// Whose data it is: every lookup names both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) tenant: Tenant,
    pub(crate) subject: Subject,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) agent: String,
    pub(crate) subject: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) workspace: Option<String>,
    pub(crate) turns: u64,
    pub(crate) active_run: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunState {
    Active,
    Finished,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) session: SessionId,
    pub(crate) agent: String,
    pub(crate) state: RunState,
    pub(crate) started: Timestamp,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) cursor: u64,
}

/// The right to drive a run until it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) epoch: u64,
    pub(crate) expires: Timestamp,
}

/// A lease as its holder names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) tenant: Tenant,
    pub(crate) run: RunId,
    pub(crate) epoch: u64,
}

/// What became of a lease that was to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    Held {
        cancel_requested: bool,
    },
    /// Given up, or taken over.
    Lost,
    /// The run has ended, or is gone with its session.
    Ended,
}

/// Encoded messages, and how large they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) messages: Vec<Vec<u8>>,
    /// Estimated tokens.
    pub(crate) tokens: u64,
    pub(crate) bytes: u64,
}

/// A turn as it is stored: messages encoded, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredTurn {
    pub(crate) run_id: String,
    pub(crate) messages: Vec<Vec<u8>>,
}

/// A turn that a client brought along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedTurn {
    /// The wire message, encoded.
    pub(crate) body: Vec<u8>,
    /// Estimated tokens.
    pub(crate) tokens: u64,
    pub(crate) bytes: u64,
}

/// A journal entry to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewEntry {
    /// What clients see, encoded.
    pub(crate) event: Option<Vec<u8>>,
    /// What only a runtime reads.
    pub(crate) state: Bytes,
}

/// A journal entry in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) cursor: u64,
    pub(crate) written: Timestamp,
    pub(crate) event: Option<Vec<u8>>,
    pub(crate) state: Vec<u8>,
}

/// How much is read at once: at least one entry, then as long as there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) entries: u32,
    /// No entry is read that begins beyond so many bytes.
    pub(crate) bytes: u32,
}

/// A turn to begin.
#[derive(Debug, Clone)]
pub(crate) struct Begin {
    pub(crate) run: RunPrincipal,
    pub(crate) token: String,
    pub(crate) client_message_id: String,
    pub(crate) message: Content,
    pub(crate) entries: Vec<NewEntry>,
    /// What the client says was said before; only with the first message of a session.
    pub(crate) history: Vec<ClaimedTurn>,
    pub(crate) client_instructions: String,
    pub(crate) now: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) most: RunLimits,
}

/// What beginning a turn led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) run: RunId,
    /// `None` when the message began another run before.
    pub(crate) lease: Option<Lease>,
    pub(crate) cursor: u64,
    /// The run that had ended last when this one began.
    pub(crate) last_run: Option<String>,
}

/// A turn to end.
#[derive(Debug, Clone)]
pub(crate) struct Finish {
    pub(crate) run: RunPrincipal,
    pub(crate) epoch: u64,
    pub(crate) messages: Content,
    pub(crate) entries: Vec<NewEntry>,
    pub(crate) state: RunState,
    /// The run was shown what may be anybody's words.
    pub(crate) saw_outside: bool,
    pub(crate) now: Timestamp,
}

/// Where a journal stands after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) cursor: u64,
    pub(crate) cancel_requested: bool,
}

/// Where a run's journal stands, and whether more may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) cursor: u64,
    pub(crate) state: RunState,
}

/// Runs under way, of all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActiveRuns {
    pub(crate) all: u64,
    /// Those whose lease has expired or was given up.
    pub(crate) unclaimed: u64,
}

/// An active run whose lease has expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) tenant: Tenant,
    pub(crate) run: RunId,
    pub(crate) epoch: u64,
    pub(crate) token: String,
    /// When its lease ended, or was given up.
    pub(crate) since: Timestamp,
    pub(crate) cancel_requested: bool,
}

/// Where a list of expired runs goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) since: i64,
    pub(crate) id: i64,
}

/// Expired runs, the longest expired first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpiredPage {
    /// Those that can be read.
    pub(crate) runs: Vec<Expired>,
    /// `None` when there are no more.
    pub(crate) next: Option<Mark>,
}

/// A run that was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) run: RunId,
    pub(crate) token: String,
    pub(crate) lease: Lease,
    pub(crate) cursor: u64,
    pub(crate) cancel_requested: bool,
}

/// What opened a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// The user's message, encoded.
    pub(crate) message: Vec<u8>,
    pub(crate) client_message_id: String,
    pub(crate) client_instructions: String,
    pub(crate) state: RunState,
}

/// Which turns of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turns {
    /// Everything that was said, the open turn included.
    All,
    /// Turns that ended with an answer.
    Answered,
}

/// The newest turns within these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) which: Turns,
    pub(crate) count: u32,
    /// As encoded. No page has more than fits a message.
    pub(crate) bytes: u64,
}

/// Turns, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Page {
    pub(crate) turns: Vec<Turn>,
    /// Older turns that were left out.
    pub(crate) left_out: u64,
    pub(crate) workspace: Option<String>,
    /// The newest run that has ended.
    pub(crate) last_run: Option<String>,
    /// A turn of the session is claimed, or its run was shown what may be anybody's words; left out or not.
    pub(crate) saw_outside: bool,
}

/// [`Page`] as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredPage {
    /// Encoded; older than the turns.
    pub(crate) claimed: Vec<Vec<u8>>,
    pub(crate) turns: Vec<StoredTurn>,
    /// Older turns that were left out.
    pub(crate) left_out: u64,
    pub(crate) workspace: Option<String>,
    /// The newest run that has ended.
    pub(crate) last_run: Option<String>,
    /// A turn of the session is claimed, or its run was shown what may be anybody's words; left out or not.
    pub(crate) saw_outside: bool,
}

//! Where memories are kept, with what is still to be told of them: to the audit log (steps) and to the vectors (the outbox).
//! What the audit log does not have is seen by nobody.

pub(super) mod rows;

use async_trait::async_trait;
use harombe_types::{MemoryId, Timestamp};
use uuid::Uuid;

use crate::domain::{
    Change, Changed, Choice, Erasure, Listing, Memory, Owner, Part, Remembering, Revision, Saved, Saving,
    SessionTurn, Stats, Step, Stored, Unremembered, Unshown, Work,
};
use crate::error::Error;

/// Whether changes are put into the outbox: without an embedding model nobody would take them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outbox {
    Kept,
    Unused,
}

/// The port. Every method is atomic, and durable when it returns. What belongs to somebody else is [`Error::NotFound`].
#[async_trait]
pub(crate) trait MemoryStore: Send + Sync + 'static {
    /// Saves what is new; nobody sees it before [`MemoryStore::recorded`].
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Superseded`] of what is to be superseded, [`Error::TooManyMemories`].
    async fn save(&self, saving: Saving) -> Result<Saved, Error>;
    /// The audit log has the step's event at this index. What it saved is seen from now on, and what that supersedes holds no
    /// longer. A repetition changes nothing.
    async fn recorded(&self, step: &Step, index: u64) -> Result<(), Error>;
    /// The audit log refuses the step for good: it waits no longer, until [`MemoryStore::take_up_again`]; whether that is news.
    async fn set_aside(&self, step: &Step) -> Result<bool, Error>;
    /// All that were set aside wait to be recorded again; how many.
    async fn take_up_again(&self) -> Result<u64, Error>;
    /// Steps that wait because the audit log may not have them, made before one moment, or after the other because the clock has gone back: the
    /// oldest of each tenant, tenants in turn.
    async fn unrecorded(&self, before: Timestamp, after: Timestamp, limit: u32) -> Result<Vec<Step>, Error>;

    async fn revision(&self, owner: &Owner) -> Result<Revision, Error>;
    /// Memories that have changed since a revision, in the order of theirs; hidden and superseded ones included.
    async fn changed_since(&self, owner: &Owner, rev: u64, limit: u32) -> Result<Vec<Memory>, Error>;
    /// Those of these that are the owner's, in no order; hidden and superseded ones included.
    async fn at_points(&self, owner: &Owner, points: &[Uuid]) -> Result<Vec<Memory>, Error>;
    /// The best of ranked memories that are the owner's and that a search may find now, best first.
    async fn best_of(&self, owner: &Owner, choice: &Choice) -> Result<Vec<Memory>, Error>;
    async fn memory(&self, owner: &Owner, id: MemoryId) -> Result<Memory, Error>;
    /// Most recently saved first.
    async fn list(&self, owner: &Owner, listing: &Listing) -> Result<Vec<Memory>, Error>;
    /// Summaries that hold and tell of what is not shown of a session, the newest stretch first.
    async fn summaries_of_unshown(&self, owner: &Owner, unshown: &Unshown) -> Result<Vec<Memory>, Error>;
    /// All of them with a higher [`Memory::seq`], oldest first.
    async fn all_after(&self, owner: &Owner, seq: u64, limit: u32) -> Result<Vec<Memory>, Error>;
    async fn stats(&self, owner: &Owner) -> Result<Stats, Error>;

    /// Hides or restores a memory; where that is as it should be, nothing changes.
    async fn change(&self, change: Change) -> Result<Changed, Error>;
    /// Erases memories for good; answers with what must be on record, in order.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was one, and neither it nor a step that erased it is there.
    async fn erase(&self, erasure: Erasure) -> Result<Vec<Step>, Error>;
    /// Erases so many of an owner's memories for good, the oldest first, hidden and unrecorded ones included; with the last ones
    /// all else that is known of the owner, but what is still to be told of them, to the audit log or to vectors.
    async fn erase_person(&self, owner: &Owner, limit: u32) -> Result<Part, Error>;
    /// The oldest steps of an owner's that wait because the audit log may not have them, however long.
    async fn steps_of(&self, owner: &Owner, limit: u32) -> Result<Vec<Step>, Error>;
    /// Removes what an erasure has left in the database's own files, where that is ours to do.
    async fn sweep(&self) -> Result<(), Error>;
    /// Owners of memories whose time to be erased has come.
    async fn due_erasures(&self, now: Timestamp, limit: u32) -> Result<Vec<Owner>, Error>;

    /// Runs that ended with an answer and have no memories yet: the oldest of each tenant, tenants in turn.
    async fn unremembered(&self, limit: u32) -> Result<Vec<Unremembered>, Error>;
    /// What was said in the run; `None` when it is gone.
    async fn said_in(&self, run: &Unremembered) -> Result<Option<SessionTurn>, Error>;
    /// Saves the memories of turns, but of those that have some already or are gone.
    async fn remember(&self, turns: Remembering) -> Result<Saved, Error>;

    /// What the vectors are to be told, the oldest of each tenant, tenants in turn.
    async fn outbox(&self, limit: u32) -> Result<Vec<Work>, Error>;
    /// Takes rows out of the outbox, by [`Work::seq`].
    async fn finished(&self, works: &[u64]) -> Result<(), Error>;
    /// What the vectors should have, in the order of points, of all owners; for reconciliation.
    async fn stored(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<Stored>, Error>;
}

//! Where conversations, journals and memories are kept. Every method is atomic, and durable when it returns.

mod consolidation;
mod generations;
mod memories;
mod newest;
mod open;
mod postgres;
mod rows;
mod sqlite;

#[cfg(test)]
pub(crate) mod contract;

use async_trait::async_trait;
use harombe_sql::UnitError;
use harombe_types::{AgentName, RunId, RunPrincipal, SessionId, Tenant, Timestamp, WorkspaceId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::{
    ActiveRuns, Begin, Begun, Belongings, Claimed, Entry, ErasedSession, Expired, ExpiredPage, Finish,
    Header, Held, Lease, Mark, NewEntry, Owner, Position, Progress, Renewal, Room, Run, RunState, Selection,
    Session, StoredPage,
};
use crate::error::Error;

pub(crate) use consolidation::Consolidations;
pub(crate) use generations::Generations;
pub(crate) use memories::{MemoryStore, Outbox};
pub(crate) use open::{Opened, open};

/// What a statement inside a unit leads to.
type Unit<T> = Result<T, UnitError<Error>>;

fn refuse<T>(error: Error) -> Unit<T> {
    Err(UnitError::Refused(error))
}

/// The port. What belongs to somebody else is [`Error::NotFound`].
#[async_trait]
pub(crate) trait Store: Send + Sync + 'static {
    /// The session, made now unless the owner has it already.
    async fn create_session(
        &self,
        owner: &Owner,
        id: SessionId,
        agent: &AgentName,
        now: Timestamp,
    ) -> Result<Session, Error>;
    async fn session(&self, owner: &Owner, id: SessionId) -> Result<Session, Error>;
    /// Most recently updated first.
    async fn sessions(
        &self,
        owner: &Owner,
        limit: u32,
        after: Option<SessionId>,
    ) -> Result<Vec<Session>, Error>;
    /// Erases the session and all that hangs on it; answers with its workspace.
    async fn delete_session(&self, owner: &Owner, id: SessionId) -> Result<Option<String>, Error>;
    /// What there is of a person, no more sessions and runs than these.
    async fn belongings(&self, owner: &Owner, sessions: u32, runs: u32) -> Result<Belongings, Error>;
    /// As [`Store::delete_session`], but what it leaves in the database's own files is there until [`MemoryStore::erase_person`]
    /// or [`MemoryStore::sweep`].
    async fn erase_session(&self, owner: &Owner, id: SessionId) -> Result<ErasedSession, Error>;
    /// Binds the workspace unless the session has one; answers with the one that it has.
    async fn attach_workspace(
        &self,
        owner: &Owner,
        id: SessionId,
        workspace: WorkspaceId,
    ) -> Result<String, Error>;
    async fn turns(&self, owner: &Owner, id: SessionId, selection: Selection) -> Result<StoredPage, Error>;

    /// Run, message, entries and lease; or the run that the message began before. No more runs than may be are under way,
    /// whoever else begins one at the same time, at whichever process.
    async fn begin_turn(&self, begin: Begin) -> Result<Begun, Error>;
    /// Answer, entries and release; a repetition answers the same cursor.
    async fn finish_turn(&self, finish: Finish) -> Result<u64, Error>;

    async fn acquire_lease(
        &self,
        run: &RunPrincipal,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<(Lease, u64), Error>;
    /// Keeps the leases that are still their holders', and says of each, in the order given, what became of it.
    async fn renew_leases(&self, leases: Vec<Held>, expires: Timestamp) -> Result<Vec<Renewal>, Error>;
    /// Ends the lease now, and its epoch: nothing that is still on its way can use it or make it longer. A repetition
    /// changes nothing.
    async fn release_lease(&self, run: &RunPrincipal, epoch: u64, now: Timestamp) -> Result<(), Error>;
    /// Active runs of all tenants whose lease has expired, the longest expired first, behind a mark. One that cannot be
    /// read is passed over.
    async fn expired(&self, now: Timestamp, after: Option<Mark>, limit: u32) -> Result<ExpiredPage, Error>;
    /// How many runs of all tenants are under way.
    async fn active(&self, now: Timestamp) -> Result<ActiveRuns, Error>;
    /// Takes the run over unless somebody did since it was listed.
    async fn claim(
        &self,
        run: &Expired,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Option<Claimed>, Error>;
    /// Ends the run with these entries unless somebody took it over since it was listed; whether it did.
    async fn end(
        &self,
        run: &Expired,
        state: RunState,
        entries: Vec<NewEntry>,
        now: Timestamp,
    ) -> Result<bool, Error>;

    /// Adds entries under a lease; a repetition answers the same.
    async fn append(
        &self,
        run: &RunPrincipal,
        epoch: u64,
        expected_cursor: u64,
        entries: Vec<NewEntry>,
        now: Timestamp,
    ) -> Result<Progress, Error>;
    async fn request_cancel(&self, run: &RunPrincipal, reason: &str) -> Result<RunState, Error>;
    async fn header(&self, run: &RunPrincipal) -> Result<Header, Error>;
    async fn run(&self, owner: &Owner, run: RunId) -> Result<Run, Error>;
    /// Entries after a cursor, as many as there is room for; one if there is one at all.
    async fn entries(&self, owner: &Owner, run: RunId, after: u64, room: Room) -> Result<Vec<Entry>, Error>;

    /// Finishes the writes that wait and lets the database go.
    async fn close(&self);
}

/// The other processes that work on the same store. What they are told may get lost.
#[async_trait]
pub(crate) trait Peers: Send + Sync + 'static {
    /// Tells them that a run's journal has grown, or that the run has ended. Never waits.
    fn tell(&self, run: RunId);

    /// Hands on what they tell, until it is stopped.
    async fn listen(&self, stop: &CancellationToken, news: mpsc::Sender<News>);

    /// Where the journals of these runs stand; one that is gone is left out.
    async fn positions(&self, runs: Vec<(Tenant, RunId)>) -> Result<Vec<(RunId, Position)>, Error>;

    /// Those of these owners, each with the incarnation that is known here, who are no more, or are others of the name.
    async fn gone(&self, owners: Vec<(Owner, u64)>) -> Result<Vec<Owner>, Error>;
}

/// What a peer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// There is more of this run.
    Of(RunId),
    /// Something may have been missed.
    Missed,
}

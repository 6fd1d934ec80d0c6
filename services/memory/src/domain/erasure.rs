//! A person of a tenant is erased: all that is kept of them, a part at each call.

use std::sync::Arc;

use harombe_error::ServiceError as _;
use harombe_types::{Person, RunPrincipal, SessionId, Subject};

use crate::domain::recall::Recaller;
use crate::domain::{Journal, Memories, Owner};
use crate::error::Error;
use crate::metrics::Numbers;
use crate::store::Store;

/// Sessions that one call erases, a transaction each.
const SESSIONS: usize = 32;
/// Runs that one call asks to end.
const RUNS: u32 = 256;
/// What a run that is asked to end is told.
const REASON: &str = "the person is being erased";

/// What there is of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Belongings {
    /// Sessions that no run holds, as many as were asked for.
    pub(crate) free: Vec<SessionId>,
    /// How many sessions runs hold.
    pub(crate) in_use: u64,
    /// Those of these runs that nobody has asked to end, as many as were asked for.
    pub(crate) uncancelled: Vec<RunPrincipal>,
    /// How many memories are kept; `None` when there is nothing but sessions, and steps that wait to be recorded.
    pub(crate) memories: Option<u64>,
}

/// A session that is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErasedSession {
    pub(crate) id: SessionId,
    pub(crate) agent: String,
    pub(crate) workspace: Option<String>,
    /// Memories that went with it.
    pub(crate) memories: u64,
}

/// How much of a person's memories was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Part {
    pub(crate) memories: u64,
    /// There are others.
    pub(crate) more: bool,
}

/// What one call has erased.
#[derive(Debug, Default)]
pub(crate) struct Erased {
    pub(crate) sessions: Vec<ErasedSession>,
    /// Those that went with sessions included.
    pub(crate) memories: u64,
    /// Sessions that stay until their run has ended.
    pub(crate) in_use: u64,
    /// Something is left.
    pub(crate) more: bool,
}

/// The use case of erasing a person. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Erasures {
    store: Arc<dyn Store>,
    journal: Journal,
    memories: Memories,
    recaller: Recaller,
    numbers: Numbers,
}

impl Erasures {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        journal: Journal,
        memories: Memories,
        recaller: Recaller,
        numbers: Numbers,
    ) -> Self {
        Self {
            store,
            journal,
            memories,
            recaller,
            numbers,
        }
    }

    /// Erases a part of what is kept of a person of the admin's tenant. What comes while that goes on belongs to another person of
    /// the name: it may be erased as well, and nothing waits for it.
    ///
    /// # Errors
    /// The store's, or [`Error::Unrecorded`]: nothing was erased, or nothing that the answer of another call would not tell.
    pub(crate) async fn erase(&self, admin: &Person, subject: Subject) -> Result<Erased, Error> {
        let owner = Owner {
            tenant: admin.tenant.clone(),
            subject,
        };
        let mut erased = Erased::default();
        match self.part(admin, &owner, &mut erased).await {
            Err(error) if erased.sessions.is_empty() => return Err(error),
            // nobody else will tell of their workspaces; the next call meets the fault if it stays
            Err(error) => {
                tracing::warn!(reason = %error.reason(), %error, "a person was erased in part");
                erased.more = true;
            }
            Ok(()) => {}
        }
        erased.more |= erased.in_use > 0;
        Ok(erased)
    }

    async fn part(&self, admin: &Person, owner: &Owner, erased: &mut Erased) -> Result<(), Error> {
        // one more than are erased tells whether there are others
        let limit = u32::try_from(SESSIONS + 1).unwrap_or(u32::MAX);
        let mut found = self.store.belongings(owner, limit, RUNS).await?;
        erased.in_use = found.in_use;
        for run in &found.uncancelled {
            match self.journal.request_cancel(run, REASON).await {
                // it has ended, and somebody has deleted its session
                Err(Error::NotFound(_)) => {}
                asked => drop(asked?),
            }
        }
        erased.more = found.free.len() > SESSIONS;
        found.free.truncate(SESSIONS);
        if !found.free.is_empty() || found.memories.is_some() {
            let (sessions, memories) = (found.free.len(), found.memories.unwrap_or(0));
            self.memories
                .announce_person(admin, owner, sessions, memories)
                .await?;
            let done = self.take_away(owner, found.free, erased).await;
            self.recaller.forget(owner).await;
            done?;
        }
        if !erased.more {
            erased.more = self.memories.record_all_of(owner).await?;
        }
        Ok(())
    }

    /// Erases these sessions and, when there are no others that can be, memories.
    async fn take_away(
        &self,
        owner: &Owner,
        sessions: Vec<SessionId>,
        erased: &mut Erased,
    ) -> Result<(), Error> {
        for id in sessions {
            match self.store.erase_session(owner, id).await {
                Ok(session) => {
                    self.numbers.session_deleted();
                    erased.memories += session.memories;
                    erased.sessions.push(session);
                }
                // a turn has begun in it since
                Err(Error::SessionBusy) => erased.in_use += 1,
                // somebody else has deleted it since
                Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if !erased.more {
            let part = self.memories.erase_all_of(owner).await?;
            erased.memories += part.memories;
            erased.more = part.more;
        }
        Ok(())
    }
}

//! Sessions and turns.

use std::sync::Arc;
use std::time::Duration;

use harombe_proto::memory::v1::{Author, BeginTurnRequest, FinishTurnRequest, Message};
use harombe_types::{AgentName, Clock, RunPrincipal, SessionId, WorkspaceId};
use tokio::sync::Notify;

use crate::domain::{
    Begin, Begun, Finish, Follow, Memories, Owner, Page, RunLimits, RunState, Selection, Session, Turns,
    check, claimed_turns, content, decode_page, encode_entries, shows_outside,
};
use crate::error::Error;
use crate::metrics::{By, Leased, Numbers};
use crate::store::Store;

const SESSIONS_DEFAULT: u32 = 100;
const SESSIONS_MAX: u32 = 1000;
const TURNS_DEFAULT: u32 = 50;
const TURNS_MAX: u32 = 500;
/// Of the lease with which a turn begins.
const FIRST_EPOCH: u64 = 1;

/// The use cases of sessions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Conversations {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    follow: Follow,
    lease: Duration,
    most: RunLimits,
    numbers: Numbers,
    memories: Memories,
    /// Is told when a turn has ended.
    ended: Arc<Notify>,
}

impl Conversations {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        follow: Follow,
        (lease, most): (Duration, RunLimits),
        numbers: Numbers,
        (memories, ended): (Memories, Arc<Notify>),
    ) -> Self {
        Self {
            memories,
            ended,
            store,
            clock,
            follow,
            lease,
            most,
            numbers,
        }
    }

    /// How long the lease lasts with which a turn begins.
    pub(crate) fn ttl(&self) -> Duration {
        self.lease
    }

    pub(crate) async fn create(
        &self,
        owner: &Owner,
        id: SessionId,
        agent: &AgentName,
    ) -> Result<Session, Error> {
        let now = self.clock.now();
        let session = self.store.create_session(owner, id, agent, now).await?;
        if session.agent != agent.as_str() {
            return Err(Error::Invalid(format!(
                "session {id} exists with agent {}",
                session.agent
            )));
        }
        if session.created == now {
            self.numbers.session_created();
        }
        Ok(session)
    }

    pub(crate) async fn get(&self, owner: &Owner, id: SessionId) -> Result<Session, Error> {
        self.store.session(owner, id).await
    }

    pub(crate) async fn list(
        &self,
        owner: &Owner,
        limit: u32,
        after: Option<SessionId>,
    ) -> Result<Vec<Session>, Error> {
        let limit = within("limit", limit, SESSIONS_DEFAULT, SESSIONS_MAX)?;
        self.store.sessions(owner, limit, after).await
    }

    /// Erases the session with all that hangs on it, its memories included. That is on record before it is done.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::SessionBusy`], [`Error::Unrecorded`].
    pub(crate) async fn delete(&self, owner: &Owner, id: SessionId) -> Result<Option<String>, Error> {
        let session = self.store.session(owner, id).await?;
        if session.active_run.is_some() {
            return Err(Error::SessionBusy);
        }
        self.memories.announce_erasure(owner, id).await?;
        let workspace = self.store.delete_session(owner, id).await?;
        self.numbers.session_deleted();
        Ok(workspace)
    }

    pub(crate) async fn messages(&self, owner: &Owner, id: SessionId, limit: u32) -> Result<Page, Error> {
        let count = within("limit", limit, TURNS_DEFAULT, TURNS_MAX)?;
        let selection = Selection {
            which: Turns::All,
            count,
            bytes: u64::MAX,
        };
        decode_page(self.store.turns(owner, id, selection).await?)
    }

    pub(crate) async fn attach(&self, run: &RunPrincipal, workspace: WorkspaceId) -> Result<String, Error> {
        self.store
            .attach_workspace(&owner(run), run.session, workspace)
            .await
    }

    pub(crate) async fn begin(
        &self,
        run: RunPrincipal,
        token: String,
        request: BeginTurnRequest,
    ) -> Result<Begun, Error> {
        let BeginTurnRequest {
            client_message_id,
            text,
            entries,
            history,
            client_instructions,
        } = request;
        check::client_message_id(&client_message_id)?;
        check::user_text(&text)?;
        check::entries(&entries)?;
        check::client_instructions(&client_instructions)?;
        let history = claimed_turns(history)?;
        let now = self.clock.now();
        let message = Message {
            author: Author::User.into(),
            text,
            ..Message::default()
        };
        let expires = now.plus(self.lease);
        let written = entries.len();
        let begun = self
            .store
            .begin_turn(Begin {
                run,
                token,
                client_message_id,
                message: content(&[message]),
                entries: encode_entries(entries),
                history,
                client_instructions,
                now,
                expires,
                most: self.most,
            })
            .await
            .inspect_err(|error| {
                if let Error::TooManyRuns { whose, .. } = error {
                    self.numbers.turn_refused(*whose);
                }
            })?;
        match begun.lease {
            Some(lease) if lease.epoch == FIRST_EPOCH => {
                self.numbers.turn_begun();
                self.numbers.entries_written(written);
            }
            // begun before, and driven by who asked again
            Some(_) => self.numbers.lease(Leased::Acquired),
            None => {}
        }
        self.follow.publish(begun.run);
        Ok(begun)
    }

    pub(crate) async fn finish(
        &self,
        run: RunPrincipal,
        request: FinishTurnRequest,
        state: RunState,
    ) -> Result<u64, Error> {
        let FinishTurnRequest {
            epoch,
            messages,
            entries,
            saw_outside,
            ..
        } = request;
        check::turn(&messages)?;
        check::entries(&entries)?;
        if state == RunState::Active {
            return Err(Error::Invalid(
                "state must be finished, failed or cancelled".to_owned(),
            ));
        }
        let id = run.run;
        let now = self.clock.now();
        let written = entries.len();
        let cursor = self
            .store
            .finish_turn(Finish {
                run,
                epoch,
                messages: content(&messages),
                entries: encode_entries(entries),
                state,
                saw_outside: saw_outside.unwrap_or_else(|| shows_outside(&messages)),
                now,
            })
            .await
            .inspect_err(|error| self.numbers.failed_write(error))?;
        self.ended.notify_one();
        self.numbers.turn_ended(state, By::Runtime);
        self.numbers.entries_written(written);
        self.follow.publish(id);
        Ok(cursor)
    }
}

/// The session's owner, as the run's token says.
fn owner(run: &RunPrincipal) -> Owner {
    Owner {
        tenant: run.tenant.clone(),
        subject: run.subject.clone(),
    }
}

fn within(name: &str, given: u32, default: u32, max: u32) -> Result<u32, Error> {
    match given {
        0 => Ok(default),
        given if given <= max => Ok(given),
        given => Err(Error::Invalid(format!("{name} is {given}; the most is {max}"))),
    }
}

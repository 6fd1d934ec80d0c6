//! The use cases of memories that somebody saves, looks at and forgets.

use std::sync::Arc;
use std::time::Duration;

use harombe_trail::{Event, Trail};
use harombe_types::{AgentName, Clock, EventId, MemoryId, RunPrincipal, SessionId, Timestamp};

use super::{
    Act, Actor, Change, Deed, Erasure, Fact, Hide, Label, Listing, Memory, MemoryKind, MemoryLimits,
    NewMemory, Saving, Stats, Step, Which, check,
};
use crate::domain::Owner;
use crate::domain::recall::Meanings;
use crate::error::Error;
use crate::metrics::MemoryNumbers;
use crate::store::MemoryStore;

/// How long the log is waited for: three tries of a caller, a second apart, are less than a call lasts, so that it hears why
/// they failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What [`Memories`] is made of.
#[derive(Clone)]
pub(crate) struct MemoriesDeps {
    pub(crate) store: Arc<dyn MemoryStore>,
    pub(crate) trail: Trail,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) most: MemoryLimits,
    /// How long a person may think again.
    pub(crate) erase_after: Duration,
    pub(crate) numbers: MemoryNumbers,
    /// Who indexes is told at once.
    pub(crate) meanings: Meanings,
}

/// Keeps memories. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Memories(pub(super) Arc<MemoriesDeps>);

impl Memories {
    pub(crate) fn new(deps: MemoriesDeps) -> Self {
        Self(Arc::new(deps))
    }

    /// Saves a fact that a run thinks worth keeping; one whose id is known is answered as it is.
    ///
    /// # Errors
    /// What is wrong with it, [`Error::NotFound`] or [`Error::Superseded`] of what it supersedes, a limit, or
    /// [`Error::Unrecorded`]: then nobody sees it until the log has it.
    pub(crate) async fn remember(&self, run: &RunPrincipal, fact: Fact) -> Result<Memory, Error> {
        let owner = Owner {
            tenant: run.tenant.clone(),
            subject: run.subject.clone(),
        };
        let actor = Actor::Run {
            agent: run.agent.clone(),
            session: run.session,
            run: run.run,
        };
        // what the person wants saved in a run is in their words
        let mut memory = self.fact(fact, run.subject.as_str())?;
        run.agent.as_str().clone_into(&mut memory.agent);
        if memory.label != Label::Person {
            run.agent.as_str().clone_into(&mut memory.speaker);
        }
        memory.session = Some(run.session);
        memory.run = Some(run.run);
        memory.ordinal = None;
        self.save_one(owner, actor, memory).await
    }

    /// Saves a fact in the person's own words.
    ///
    /// # Errors
    /// As [`Memories::remember`].
    pub(crate) async fn save(&self, owner: Owner, agent: &AgentName, fact: Fact) -> Result<Memory, Error> {
        let mut memory = self.fact(fact, owner.subject.as_str())?;
        memory.label = Label::Person;
        agent.as_str().clone_into(&mut memory.agent);
        self.save_one(owner, Actor::Person, memory).await
    }

    fn fact(&self, fact: Fact, speaker: &str) -> Result<NewMemory, Error> {
        Ok(NewMemory {
            id: fact.id,
            point: *MemoryId::generate(&*self.0.clock).as_uuid(),
            kind: MemoryKind::Fact,
            text: check::text(fact.text)?,
            speaker: speaker.to_owned(),
            time: self.0.clock.now(),
            valid_to: None,
            superseded_by: None,
            supersedes: fact.supersedes,
            agent: String::new(),
            session: None,
            run: None,
            ordinal: Some(0),
            label: fact.label,
            importance: check::importance(fact.importance)?,
            hidden_at: None,
            erased_at: None,
        })
    }

    async fn save_one(&self, owner: Owner, actor: Actor, memory: NewMemory) -> Result<Memory, Error> {
        let mut kept = self.keep(owner, actor, vec![memory]).await?.0;
        kept.pop().ok_or(Error::Stored("memory"))
    }

    /// Takes over memories from elsewhere, all of them or none; how many are new, and how many were there.
    ///
    /// # Errors
    /// As [`Memories::remember`].
    pub(crate) async fn import(&self, owner: Owner, memories: Vec<NewMemory>) -> Result<(u32, u32), Error> {
        let all = u32::try_from(memories.len()).unwrap_or(u32::MAX);
        let (_, new) = self.keep(owner, Actor::Person, memories).await?;
        Ok((new, all.saturating_sub(new)))
    }

    /// Saves what is new and has it recorded; answers with all, and how many are new.
    async fn keep(
        &self,
        owner: Owner,
        actor: Actor,
        memories: Vec<NewMemory>,
    ) -> Result<(Vec<Memory>, u32), Error> {
        let event = self.event();
        let saving = Saving {
            owner,
            memories,
            event,
            actor,
            now: self.0.clock.now(),
            most: self.0.most,
        };
        let saved = self
            .0
            .store
            .save(saving)
            .await
            .inspect_err(|error| self.count_refusal(error))?;
        let mut memories = saved.memories;
        for step in &saved.steps {
            let index = self.record(step, event).await?;
            for memory in memories.iter_mut().filter(|memory| memory.event == step.event) {
                memory.audit_index = Some(index);
            }
        }
        let new = memories.iter().filter(|memory| memory.event == event);
        new.for_each(|memory| self.0.numbers.saved(memory.kind));
        Ok((memories, saved.new))
    }

    pub(super) fn count_refusal(&self, error: &Error) {
        if let Error::TooManyMemories { whose, .. } = error {
            self.0.numbers.refused(*whose);
        }
    }

    /// One of the owner's, also if it is hidden.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn get(&self, owner: &Owner, id: MemoryId) -> Result<Memory, Error> {
        self.0.store.memory(owner, id).await
    }

    /// One page of a list.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn list(&self, owner: &Owner, listing: &Listing) -> Result<Vec<Memory>, Error> {
        self.0.store.list(owner, listing).await
    }

    /// All of the owner's that were saved after one, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn all_after(&self, owner: &Owner, seq: u64, limit: u32) -> Result<Vec<Memory>, Error> {
        self.0.store.all_after(owner, seq, limit).await
    }

    /// # Errors
    /// The store's.
    pub(crate) async fn stats(&self, owner: &Owner) -> Result<Stats, Error> {
        self.0.store.stats(owner).await
    }

    /// Hides a memory because a model asks for it: the person can restore it for ever.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unrecorded`].
    pub(crate) async fn forget_for_run(&self, run: &RunPrincipal, id: MemoryId) -> Result<Memory, Error> {
        let owner = Owner {
            tenant: run.tenant.clone(),
            subject: run.subject.clone(),
        };
        let actor = Actor::Run {
            agent: run.agent.clone(),
            session: run.session,
            run: run.run,
        };
        self.change(owner, id, Act::Hide(Hide::ByModel), actor).await
    }

    /// Hides a memory at once and erases it later.
    ///
    /// # Errors
    /// As [`Memories::forget_for_run`].
    pub(crate) async fn forget(&self, owner: Owner, id: MemoryId) -> Result<Memory, Error> {
        let erase_at = self.0.clock.now().plus(self.0.erase_after);
        let hide = Act::Hide(Hide::ByPerson { erase_at });
        self.change(owner, id, hide, Actor::Person).await
    }

    /// Takes back that a memory was forgotten.
    ///
    /// # Errors
    /// As [`Memories::forget_for_run`].
    pub(crate) async fn restore(&self, owner: Owner, id: MemoryId) -> Result<Memory, Error> {
        self.change(owner, id, Act::Restore, Actor::Person).await
    }

    async fn change(&self, owner: Owner, id: MemoryId, act: Act, actor: Actor) -> Result<Memory, Error> {
        let event = self.event();
        let change = Change {
            owner,
            id,
            act,
            event,
            actor,
            now: self.0.clock.now(),
        };
        let changed = self.0.store.change(change).await?;
        let mut memory = changed.memory;
        for step in &changed.steps {
            let index = self.record(step, event).await?;
            if step.event == memory.event {
                memory.audit_index = Some(index);
            }
            if step.event == event {
                self.0.numbers.forgotten(step.deed.what());
            }
        }
        Ok(memory)
    }

    /// Erases a memory now, for good.
    ///
    /// # Errors
    /// As [`Memories::forget_for_run`].
    pub(crate) async fn erase(&self, owner: Owner, id: MemoryId) -> Result<(), Error> {
        self.erase_which(owner, Which::One(id), Actor::Person)
            .await
            .map(drop)
    }

    /// How many events it came to.
    pub(super) async fn erase_which(&self, owner: Owner, which: Which, actor: Actor) -> Result<usize, Error> {
        let event = self.event();
        let erasure = Erasure {
            owner,
            which,
            event,
            actor,
            now: self.0.clock.now(),
        };
        let steps = self.0.store.erase(erasure).await?;
        for step in &steps {
            self.record(step, event).await?;
            if step.event == event {
                self.0.numbers.forgotten(step.deed.what());
            }
        }
        Ok(steps.len())
    }

    /// Has it on record that a session is about to be erased with its memories. It comes first because who deletes a session
    /// cannot ask again once it is gone.
    ///
    /// # Errors
    /// [`Error::Unrecorded`]: nothing may be erased.
    pub(crate) async fn announce_erasure(&self, owner: &Owner, session: SessionId) -> Result<(), Error> {
        let step = Step {
            event: self.event(),
            owner: owner.clone(),
            actor: Actor::Person,
            at: self.0.clock.now(),
            deed: Deed::session_erased(session),
        };
        let event = step.event().session(session).first_id(step.event);
        self.announce(event, step.deed.what()).await
    }

    /// Has it on record before it is done.
    pub(super) async fn announce(&self, event: Event, what: &'static str) -> Result<(), Error> {
        self.0
            .trail
            .record_within(PATIENCE, event)
            .await
            .map_err(Error::Unrecorded)?;
        self.0.numbers.forgotten(what);
        Ok(())
    }

    pub(super) fn event(&self) -> EventId {
        EventId::generate(&*self.0.clock)
    }

    /// Has a step recorded; `made_now` is the event that this very call has made.
    pub(in crate::domain) async fn record(&self, step: &Step, made_now: EventId) -> Result<u64, Error> {
        let event = if step.event == made_now {
            step.event().first_id(step.event)
        } else {
            step.event().id(step.event)
        };
        let index = self
            .0
            .trail
            .place_within(PATIENCE, event)
            .await
            .map_err(Error::Unrecorded);
        let index = match index {
            Err(error) if error.is_rejected() => return Err(self.set_aside(step, error).await),
            index => index?,
        };
        self.0.store.recorded(step, index).await?;
        self.0.meanings.wake();
        Ok(index)
    }

    /// A step that the log refuses for good would be refused every time: it waits no longer. What it saved stays invisible, and
    /// what it took away stays away. Answers with why.
    async fn set_aside(&self, step: &Step, error: Error) -> Error {
        match self.0.store.set_aside(step).await {
            Ok(true) => {
                self.0.numbers.set_aside();
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let (event, what) = (step.event, step.deed.what());
                tracing::error!(%event, what, cause, "the audit log refuses a step for good; it is set aside until the next start");
            }
            // it is there no longer, or was set aside before
            Ok(false) => {}
            Err(error) => return error,
        }
        error
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}

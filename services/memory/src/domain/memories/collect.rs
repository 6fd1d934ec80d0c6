//! Turns that have ended become memories: those of an owner together, in one transaction and under one event.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use harombe_proto::memory::v1::{Author, Message, Turn};
use harombe_types::{MemoryId, SessionId, Timestamp};
use prost::Message as _;

use super::check::{IMPORTANCE, made_fit};
use super::pieces::pieces;
use super::step::NAMED;
use super::{Label, Memories, MemoryKind, NewMemory, Remembering, SessionTurn, TurnMemories, Unremembered};
use crate::domain::{Owner, decode_message, shows_outside};
use crate::error::Error;

/// Turns that are read at once, tenants in turn.
const TURNS: u32 = 64;
/// Owners whose turns become memories at the same time.
const AT_ONCE: usize = 16;

impl Memories {
    /// Makes memories of turns that have none; of how many turns.
    ///
    /// # Errors
    /// The store or audit does not answer; the rest is done next time.
    pub(crate) async fn collect(&self) -> Result<usize, Error> {
        let runs = self.0.store.unremembered(TURNS).await?;
        let count = runs.len();
        let mut of_owners: HashMap<Owner, Vec<Unremembered>> = HashMap::new();
        for run in runs {
            of_owners.entry(run.owner.clone()).or_default().push(run);
        }
        let done = iter(of_owners).map(|(owner, runs)| async move { self.collect_of(&owner, &runs).await });
        let done: Vec<_> = done.buffer_unordered(AT_ONCE).collect().await;
        done.into_iter().collect::<Result<(), _>>()?;
        Ok(count)
    }

    /// Makes memories of one owner's turns, in the order of the runs, so that a session's memories are.
    async fn collect_of(&self, owner: &Owner, runs: &[Unremembered]) -> Result<(), Error> {
        let mut together: Vec<TurnMemories> = Vec::new();
        let mut claimed = HashSet::new();
        for run in runs {
            // of several turns of a session the first has what a client brought along
            let is_first = !claimed.contains(&run.session);
            let Some(turn) = self.turn(run, is_first).await? else {
                continue;
            };
            if turn.claimed {
                claimed.insert(run.session);
            }
            let count: usize = together.iter().map(|turn| turn.memories.len()).sum();
            // each has its name in the event
            if count > 0 && count + turn.memories.len() > NAMED {
                self.remember_turns(owner, std::mem::take(&mut together)).await?;
            }
            together.push(turn);
        }
        if together.is_empty() {
            return Ok(());
        }
        self.remember_turns(owner, together).await
    }

    /// A turn as it is to be remembered; `None` when it is gone. One that cannot be read is passed over for good: it must not keep
    /// others waiting.
    async fn turn(&self, run: &Unremembered, is_first: bool) -> Result<Option<TurnMemories>, Error> {
        let Some(mut said) = self.0.store.said_in(run).await? else {
            return Ok(None);
        };
        if !is_first {
            said.claimed.clear();
        }
        let memories = self.memories_of(run, &said).unwrap_or_else(|error| {
            tracing::error!(run = %run.run, %error, "a turn cannot be read, and is not remembered");
            Vec::new()
        });
        Ok(Some(TurnMemories {
            run: run.run,
            claimed: !said.claimed.is_empty(),
            memories,
        }))
    }

    /// Saves turns' memories and has them recorded. A turn for which there is no room is passed over for good.
    async fn remember_turns(&self, owner: &Owner, turns: Vec<TurnMemories>) -> Result<(), Error> {
        let turns: Arc<[TurnMemories]> = turns.into();
        match self.save_turns(owner, Arc::clone(&turns)).await {
            Err(Error::TooManyMemories { .. }) => {}
            saved => return saved,
        }
        // some of them may still fit
        for turn in turns.iter() {
            match self.save_turns(owner, [turn.clone()].into()).await {
                Err(error @ Error::TooManyMemories { .. }) => {
                    self.count_refusal(&error);
                    tracing::warn!(run = %turn.run, %error, "a turn is not remembered");
                    self.save_turns(owner, [turn.forgotten()].into()).await?;
                }
                saved => saved?,
            }
        }
        Ok(())
    }

    async fn save_turns(&self, owner: &Owner, turns: Arc<[TurnMemories]>) -> Result<(), Error> {
        let remembering = Remembering {
            owner: owner.clone(),
            turns,
            event: self.event(),
            now: self.now(),
            most: self.0.most,
        };
        let saved = self.0.store.remember(remembering).await?;
        (0..saved.new).for_each(|_| self.0.numbers.saved(MemoryKind::Turn));
        for step in &saved.steps {
            match self.record(step, step.event).await {
                // the step was set aside, and its memories stay invisible
                Err(error) if error.is_rejected() => {}
                recorded => drop(recorded?),
            }
        }
        Ok(())
    }

    fn memories_of(&self, run: &Unremembered, said: &SessionTurn) -> Result<Vec<NewMemory>, Error> {
        let mut memories = Vec::new();
        for turn in &said.claimed {
            for message in Turn::decode(turn.as_slice())?.messages {
                memories.extend(self.of_message(run, &message, Label::Imported));
            }
        }
        let messages: Vec<Message> = said
            .messages
            .iter()
            .map(|body| decode_message(body))
            .collect::<Result<_, _>>()?;
        let saw_outside = said.saw_outside.unwrap_or_else(|| shows_outside(&messages));
        let model = if saw_outside { Label::Tool } else { Label::Model };
        for message in &messages {
            let label = match message.author() {
                Author::User => Label::Person,
                _ => model,
            };
            memories.extend(self.of_message(run, message, label));
        }
        Ok(memories)
    }

    /// What a person or the model said, in pieces. What tools say is not remembered.
    fn of_message(&self, run: &Unremembered, message: &Message, label: Label) -> Vec<NewMemory> {
        let claimed = label == Label::Imported;
        let (speaker, time): (&str, Timestamp) = match message.author() {
            Author::User => (run.owner.subject.as_str(), run.started),
            Author::Assistant if claimed => (&run.agent, run.started),
            Author::Assistant => (&run.agent, run.finished),
            Author::Tool | Author::Unspecified => return Vec::new(),
        };
        let text = made_fit(&message.text);
        let session: SessionId = run.session;
        let memory = |piece: &str| NewMemory {
            id: MemoryId::generate(&*self.0.clock),
            point: *MemoryId::generate(&*self.0.clock).as_uuid(),
            kind: MemoryKind::Turn,
            text: piece.to_owned(),
            speaker: speaker.to_owned(),
            time,
            valid_to: None,
            superseded_by: None,
            supersedes: None,
            agent: run.agent.clone(),
            session: Some(session),
            run: (!claimed).then_some(run.run),
            ordinal: None,
            label,
            importance: IMPORTANCE,
            hidden_at: None,
            erased_at: None,
        };
        pieces(&text).into_iter().map(memory).collect()
    }
}

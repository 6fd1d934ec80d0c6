//! Turns that have ended become memories.

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use harombe_proto::memory::v1::{Author, Message, Turn};
use harombe_types::{MemoryId, SessionId, Timestamp};
use prost::Message as _;

use super::check::{IMPORTANCE, made_fit};
use super::pieces::pieces;
use super::{Actor, Label, Memories, MemoryKind, NewMemory, OfRun, Saving, SessionTurn, Unremembered};
use crate::domain::{decode_message, shows_outside};
use crate::error::Error;

/// Turns that are read at once, tenants in turn.
const TURNS: u32 = 64;
/// Turns whose memories are recorded at the same time.
const AT_ONCE: usize = 16;

impl Memories {
    /// Makes memories of turns that have none; of how many turns.
    ///
    /// # Errors
    /// The store or audit does not answer; the rest is done next time.
    pub(crate) async fn collect(&self) -> Result<usize, Error> {
        let runs = self.0.store.unremembered(TURNS).await?;
        let mut made = Vec::new();
        for run in &runs {
            // in the order of the runs, so that a session's memories are
            made.extend(self.remember_turn(run).await?);
        }
        let recorded = iter(made).map(|step| async move { self.record(&step, step.event).await });
        let recorded: Vec<_> = recorded.buffer_unordered(AT_ONCE).collect().await;
        for recorded in recorded {
            match recorded {
                // the step was set aside, and its memories stay invisible
                Err(error) if error.is_rejected() => {}
                recorded => drop(recorded?),
            }
        }
        Ok(runs.len())
    }

    /// Saves a turn's memories; answers with what is to be recorded. A turn that cannot be read, or for which there is no room,
    /// is passed over for good: it must not keep others waiting.
    async fn remember_turn(&self, run: &Unremembered) -> Result<Vec<super::Step>, Error> {
        let Some(said) = self.0.store.said_in(run).await? else {
            return Ok(Vec::new());
        };
        let claimed = !said.claimed.is_empty();
        let memories = self.memories_of(run, &said).unwrap_or_else(|error| {
            tracing::error!(run = %run.run, %error, "a turn cannot be read, and is not remembered");
            Vec::new()
        });
        let of_run = OfRun {
            row: run.row,
            run: run.run,
            claimed,
        };
        match self.save_turn(run, of_run, memories).await {
            Err(error @ Error::TooManyMemories { .. }) => {
                self.count_refusal(&error);
                tracing::warn!(run = %run.run, %error, "a turn is not remembered");
                self.save_turn(run, of_run, Vec::new()).await
            }
            saved => saved,
        }
    }

    async fn save_turn(
        &self,
        run: &Unremembered,
        of_run: OfRun,
        memories: Vec<NewMemory>,
    ) -> Result<Vec<super::Step>, Error> {
        let count = memories.len();
        let saving = Saving {
            owner: run.owner.clone(),
            memories,
            event: self.event(),
            actor: Actor::Service,
            now: self.now(),
            most: self.0.most,
        };
        let Some(saved) = self.0.store.remember(of_run, saving).await? else {
            return Ok(Vec::new());
        };
        (0..count).for_each(|_| self.0.numbers.saved(MemoryKind::Turn));
        Ok(saved.steps)
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

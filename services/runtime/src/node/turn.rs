//! How a run comes to a node: a turn that begins here, or one that another node gave up.

use std::sync::Arc;

use futures_util::StreamExt as _;
use harombe_proto::memory::v1::{BeginTurnRequest, JournalEntry, RunState};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, RunStarted};
use harombe_types::{Principal, RunId, RunPrincipal, ServiceName};

use super::opening::Opening;
use super::{Joined, Message, Node, Parts};
use crate::domain::agent::Agent;
use crate::domain::calls::{Calls, Workspace};
use crate::domain::events::Entry;
use crate::domain::journal::{Writer, stamped};
use crate::domain::run::Run;
use crate::domain::state::Progress;
use crate::error::Error;
use crate::live::Driving;
use crate::peers::{Begun, Lease, NewTurn};
use crate::room::Seat;

/// A turn after BeginTurn.
pub(super) enum Opened {
    /// Ours.
    New(Box<Run>, Driving),
    /// Begun before, or left to whoever claims it.
    Before(Joined),
}

/// Where in its journal a run is.
struct Place {
    cursor: u64,
    progress: Progress,
    pending: Vec<Entry>,
}

impl Node {
    pub(super) async fn open_turn(
        &self,
        message: Message,
        agent: Arc<Agent>,
        seat: Seat,
    ) -> Result<Opened, Error> {
        let Message {
            principal,
            token,
            client_message_id,
            text,
            history,
            client_instructions,
        } = message;
        let peers = &self.parts().peers;
        let mut opening = Opening::new(&agent, &client_instructions, text).await?;
        opening.check(&agent)?;
        let mut first = vec![Event::RunStarted(RunStarted {
            session_id: principal.session.to_string(),
            agent: principal.agent.to_string(),
            model: agent.model_name.clone(),
        })];
        // a session that gets its past with this message has no other, and it is kept first
        if history.is_empty() {
            first.push(
                opening
                    .read(&agent, peers, self.parts().clock.as_ref(), &token)
                    .await?,
            );
        }
        let told = self.told(principal.run, first);
        let request = BeginTurnRequest {
            client_message_id,
            text: opening.text.clone(),
            entries: told.iter().cloned().map(entry).collect(),
            history,
            client_instructions,
        };
        let whose = (principal, token);
        match peers.memory.begin(&whose.1, request).await? {
            Begun::New(turn) => self.begun(turn, told, agent, whose, (opening, seat)).await,
            Begun::Again { lease } => self.read_again(whose, lease, seat).await,
            Begun::Existing { run } => Ok(Opened::Before(self.joined(run))),
        }
    }

    /// The run of a turn that is ours.
    async fn begun(
        &self,
        turn: NewTurn,
        told: Vec<RunEvent>,
        agent: Arc<Agent>,
        (principal, token): (RunPrincipal, String),
        (mut opening, seat): (Opening, Seat),
    ) -> Result<Opened, Error> {
        let Parts {
            peers, hub, clock, ..
        } = self.parts();
        let NewTurn {
            lease,
            cursor,
            last_run,
        } = turn;
        let Some(driving) = hub.drive(&principal, lease) else {
            return Err(Error::ShuttingDown);
        };
        driving.run().journalled(told);
        let mut pending = Vec::new();
        // another turn of the session ended in between, or the past is only there now
        if opening.read_after.as_ref() != Some(&last_run) {
            match opening.read(&agent, peers, clock.as_ref(), &token).await {
                Ok(built) => pending.push(built.into()),
                Err(failure) => {
                    tracing::warn!(run = %principal.run, error = %failure, "a run is left to another node");
                    peers.memory.release(&token, lease.epoch).await;
                    return Ok(Opened::Before(Joined::Elsewhere(principal.run.to_string())));
                }
            }
        }
        let place = Place {
            cursor,
            progress: Progress::default(),
            pending,
        };
        let run = self.run(&driving, agent, (principal, token), place, (opening, seat));
        Ok(Opened::New(run, driving))
    }

    /// The run of a message that another node had begun and not gone on with.
    async fn read_again(
        &self,
        (principal, token): (RunPrincipal, String),
        lease: Lease,
        seat: Seat,
    ) -> Result<Opened, Error> {
        Ok(match self.read(token, lease, seat).await? {
            Some((run, driving)) => Opened::New(run, driving),
            None => Opened::Before(Joined::Elsewhere(principal.run.to_string())),
        })
    }

    fn told(&self, run: RunId, events: Vec<Event>) -> Vec<RunEvent> {
        (1..)
            .zip(events)
            .map(|(cursor, event)| stamped(run, cursor, self.parts().clock.as_ref(), event))
            .collect()
    }

    fn joined(&self, run: String) -> Joined {
        let here = run.parse().ok().and_then(|id| self.parts().hub.get(id));
        here.map_or(Joined::Elsewhere(run), |run| Joined::Here(run.events().boxed()))
    }

    /// A run from its journal; `None` when there is nothing left to do.
    pub(super) async fn read(
        &self,
        token: String,
        lease: Lease,
        seat: Seat,
    ) -> Result<Option<(Box<Run>, Driving)>, Error> {
        let Parts {
            peers,
            clock,
            hub,
            tokens,
            numbers,
            ..
        } = self.parts();
        let principal = match tokens.verify(&token, ServiceName::Runtime, clock.now()) {
            Ok(Principal::Run(principal)) => principal,
            Ok(Principal::Person(_)) => return Ok(None),
            Err(error) => return Err(Error::Token(error)),
        };
        let (header, entries) = peers.memory.read(&token).await?;
        if header.state() != RunState::Active {
            return Ok(None);
        }
        let Some(driving) = hub.drive(&principal, lease) else {
            return Ok(None);
        };
        driving
            .run()
            .journalled(entries.iter().filter_map(|entry| entry.event.clone()).collect());
        let agent = self.agent(&principal.agent)?;
        let mut opening = Opening::new(&agent, &header.client_instructions, header.text).await?;
        let built = opening.read(&agent, peers, clock.as_ref(), &token).await?;
        let place = Place {
            cursor: entries.last().map_or(0, |entry| entry.cursor),
            progress: Progress::read(&entries).map_err(Error::Journal)?,
            pending: news(&entries, built).map(Entry::from).into_iter().collect(),
        };
        let run = self.run(&driving, agent, (principal, token), place, (opening, seat));
        numbers.taken_over();
        Ok(Some((run, driving)))
    }

    fn run(
        &self,
        driving: &Driving,
        agent: Arc<Agent>,
        (principal, token): (RunPrincipal, String),
        place: Place,
        (opening, seat): (Opening, Seat),
    ) -> Box<Run> {
        let Parts {
            peers,
            trail,
            clock,
            numbers,
            drain,
            ..
        } = self.parts();
        let token: Arc<str> = token.into();
        let calls = Calls::new(
            peers.clone(),
            (principal.clone(), Arc::clone(&token)),
            agent.tools.clone(),
            agent.limits.result,
            (Arc::clone(clock), Arc::clone(numbers)),
            Workspace::new(opening.workspace),
        );
        let Place {
            cursor,
            progress,
            pending,
        } = place;
        let journal = Writer {
            memory: peers.memory.clone(),
            token,
            cursor,
            live: Arc::clone(driving.run()),
            clock: Arc::clone(clock),
            pending,
        };
        Box::new(Run {
            agent,
            principal,
            live: Arc::clone(driving.run()),
            journal,
            system: opening.system,
            opening: opening.messages,
            // what a node before was shown is part of what was said
            outside: opening.outside || progress.outside,
            progress,
            calls: Arc::new(calls),
            trail: trail.clone(),
            numbers: Arc::clone(numbers),
            clock: Arc::clone(clock),
            leaving: drain.leaving().clone(),
            seat,
        })
    }
}

/// What the model is shown at first, unless that is what the journal says last.
fn news(entries: &[JournalEntry], built: Event) -> Option<Event> {
    let mut told = entries
        .iter()
        .rev()
        .filter_map(|entry| entry.event.as_ref()?.event.as_ref());
    let last = told.find(|event| matches!(event, Event::ContextBuilt(_)));
    (last != Some(&built)).then_some(built)
}

fn entry(event: RunEvent) -> JournalEntry {
    JournalEntry {
        cursor: event.cursor,
        event: Some(event),
        ..JournalEntry::default()
    }
}

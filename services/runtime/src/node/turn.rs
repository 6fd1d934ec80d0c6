//! How a run comes to a node: a turn that begins here, or one that another node gave up.

use std::sync::Arc;

use futures_util::StreamExt as _;
use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1::{BeginTurnRequest, BuildContextRequest, JournalEntry, RunState};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, RunStarted};
use harombe_types::{CallId, Clock, Principal, RunId, RunPrincipal, ServiceName};

use super::{Joined, Message, Node, Parts};
use crate::domain::agent::Agent;
use crate::domain::calls::{Calls, Workspace};
use crate::domain::context::{self, Built};
use crate::domain::events::Entry;
use crate::domain::journal::{Writer, stamped};
use crate::domain::model::Message as ModelMessage;
use crate::domain::run::Run;
use crate::domain::state::Progress;
use crate::error::Error;
use crate::live::Driving;
use crate::peers::{Begun, Lease, Memory, NewTurn, Past, Peers, is_unreachable};
use crate::room::Seat;

/// A turn after BeginTurn.
pub(super) enum Opened {
    /// Ours.
    New(Box<Run>, Driving),
    /// Begun before, or left to whoever claims it.
    Before(Joined),
}

/// Bytes of turns that are asked for, for each token that there is room for: more than any text has.
const TOKEN: u64 = 8;

/// Most bytes of turns that are asked for: they come in one message.
const MAX_TURNS: u32 = 2 << 20;

/// Bytes of a message by which memories are looked for.
const MAX_QUERY: usize = 8 << 10;

/// Told when memory has the turns, but no memories.
const NO_RECALL: &str = "memory could not look for earlier conversations";

/// Where in its journal a run is.
struct Place {
    cursor: u64,
    progress: Progress,
    pending: Vec<Entry>,
}

/// What the model is to be shown first.
struct Opening {
    system: String,
    text: String,
    /// Tokens of what must be there.
    fixed: u64,
    messages: Vec<ModelMessage>,
    outside: bool,
    workspace: Option<String>,
    /// The run after which the past was read; `None` until then.
    read_after: Option<Option<String>>,
}

impl Opening {
    async fn new(agent: &Arc<Agent>, client_instructions: &str, text: String) -> Result<Self, Error> {
        let system = context::system(agent, client_instructions);
        let agent = Arc::clone(agent);
        let (fixed, system, text) =
            counting(move || (context::fixed(&agent, &system, &text), system, text)).await?;
        Ok(Self {
            system,
            text,
            fixed,
            messages: Vec::new(),
            outside: false,
            workspace: None,
            read_after: None,
        })
    }

    /// Reads what was said before; the event says how much of it there is room for.
    async fn read(
        &mut self,
        agent: &Arc<Agent>,
        peers: &Peers,
        clock: &dyn Clock,
        token: &str,
    ) -> Result<Event, Failure> {
        let room = context::room(agent, self.fixed).unwrap_or_default();
        let (past, fault) = past(&peers.memory, token, self.wanted(agent, room)).await?;
        self.workspace.clone_from(&past.workspace);
        self.read_after = Some(past.last_run.clone());
        let (agent, fixed, text) = (Arc::clone(agent), self.fixed, self.text.clone());
        let id = CallId::generate(clock).to_string();
        let fitted = counting(move || {
            // the random end of an id
            let boundary = id.rsplit('-').next().unwrap_or_default();
            context::fit(&agent, fixed, &past, fault, (&text, boundary))
        });
        let Built {
            messages,
            event,
            outside,
        } = fitted.await?;
        self.messages = messages;
        self.outside = outside;
        Ok(Event::ContextBuilt(event))
    }

    fn wanted(&self, agent: &Agent, room: u64) -> BuildContextRequest {
        let end = self.text.floor_char_boundary(MAX_QUERY.min(self.text.len()));
        BuildContextRequest {
            query: self.text.get(..end).unwrap_or_default().to_owned(),
            max_turn_bytes: u32::try_from(room.saturating_mul(TOKEN))
                .unwrap_or(MAX_TURNS)
                .min(MAX_TURNS),
            recall_limit: agent.limits.recall,
        }
    }
}

/// The past; without memories when only they are missing, and what was missing.
async fn past(
    memory: &Memory,
    token: &str,
    wanted: BuildContextRequest,
) -> Result<(Past, &'static str), Failure> {
    let failure = match memory.past(token, wanted.clone()).await {
        Ok(past) => return Ok((past, "")),
        Err(failure) if wanted.recall_limit == 0 || is_unreachable(&failure) => return Err(failure),
        Err(failure) => failure,
    };
    tracing::warn!(reason = %failure.reason, error = %failure, "a run goes on without memories");
    let wanted = BuildContextRequest {
        query: String::new(),
        recall_limit: 0,
        ..wanted
    };
    Ok((memory.past(token, wanted).await?, NO_RECALL))
}

/// Counts off the threads that everything else needs: a long text takes a tenth of a second.
async fn counting<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let lost = |_| Failure::new(Code::Internal, Reason::Internal, "a context could not be counted");
    tokio::task::spawn_blocking(work).await.map_err(lost)
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
        if context::room(&agent, opening.fixed).is_none() {
            return Err(Error::MessageTooLong {
                most: agent.limits.context as usize * 4,
            });
        }
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
        opening.read(&agent, peers, clock.as_ref(), &token).await?;
        let place = Place {
            cursor: entries.last().map_or(0, |entry| entry.cursor),
            progress: Progress::read(&entries).map_err(Error::Journal)?,
            pending: Vec::new(),
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
            outside: opening.outside,
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

fn entry(event: RunEvent) -> JournalEntry {
    JournalEntry {
        cursor: event.cursor,
        event: Some(event),
        ..JournalEntry::default()
    }
}

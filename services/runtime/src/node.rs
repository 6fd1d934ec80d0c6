//! One replica of runtime: takes messages, drives runs, takes over those of others. It holds nothing that cannot be lost.

pub(crate) mod personal;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use harombe_identity::TokenVerifier;
use harombe_proto::memory::v1::{BeginTurnRequest, JournalEntry, RunState};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, RunStarted};
use harombe_rpc::TaskSet;
use harombe_trail::Trail;
use harombe_types::{AgentName, Clock, Principal, RunId, RunPrincipal, ServiceName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::domain::agent::Agent;
use crate::domain::calls::{Calls, Workspace};
use crate::domain::context;
use crate::domain::journal::{Writer, stamped};
use crate::domain::run::Run;
use crate::domain::state::Progress;
use crate::domain::tools::Registry;
use crate::error::Error;
use crate::live::{Driving, Hub};
use crate::peers::{Begun, History, Lease, Peers};
use crate::tasks::lease;

/// Longest message of a person, in bytes.
pub(crate) const MAX_TEXT: usize = 1 << 20;

/// Longest id that a client may give to a message, in bytes.
const MAX_CLIENT_MESSAGE_ID: usize = 128;

/// The node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Node {
    parts: Arc<Parts>,
}

/// What a node is made of.
pub(crate) struct Parts {
    /// Every configured agent.
    pub agents: BTreeMap<AgentName, Arc<Agent>>,
    /// Every tool.
    pub tools: Registry,
    /// The services.
    pub peers: Peers,
    /// The audit log.
    pub trail: Trail,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The runs driven here.
    pub hub: Hub,
    /// Where they run.
    pub tasks: TaskSet,
    /// For the tokens of runs that are taken over.
    pub tokens: Arc<TokenVerifier>,
    /// How many more runs may be driven here.
    pub room: Arc<Semaphore>,
    /// Bytes of a tool's answer that a person is told.
    pub result_limit: usize,
}

/// A person's message, as the gateway hands it on.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The run that it is to begin.
    pub principal: RunPrincipal,
    /// That run's token.
    pub token: String,
    /// The client's own id for it.
    pub client_message_id: String,
    /// What it says.
    pub text: String,
}

/// Where the run of a message is.
pub(crate) enum Joined {
    /// Driven by this node: its events so far and from now on.
    Here(BoxStream<'static, RunEvent>),
    /// Begun before, and driven by another node or ended: its events are in the journal.
    Elsewhere(String),
}

impl Node {
    /// A node of these parts.
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// The services it calls.
    pub(crate) fn peers(&self) -> &Peers {
        &self.parts.peers
    }

    /// What it is made of.
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// How many more runs it may drive.
    pub(crate) fn room(&self) -> usize {
        self.parts.room.available_permits()
    }

    /// Opens the turn and drives its run, which outlives the caller.
    ///
    /// # Errors
    /// The message cannot be taken; nothing was begun.
    pub(crate) async fn begin(&self, message: Message) -> Result<Joined, Error> {
        let agent = self.check(&message)?;
        let permit = Arc::clone(&self.parts.room)
            .try_acquire_owned()
            .map_err(|_| Error::TooManyRuns)?;
        let (tell, told) = oneshot::channel();
        let node = self.clone();
        self.parts
            .tasks
            .spawn(async move { node.open(message, agent, permit, tell).await });
        told.await.unwrap_or(Err(Error::ShuttingDown))
    }

    /// Goes on with a run whose lease this node has taken.
    pub(crate) fn resume(&self, token: String, lease: Lease) {
        let Ok(permit) = Arc::clone(&self.parts.room).try_acquire_owned() else {
            return;
        };
        let node = self.clone();
        self.parts.tasks.spawn(async move {
            match node.read(token, lease).await {
                Ok(Some((run, driving))) => node.drive(run, driving).await,
                Ok(None) => {}
                Err(error) => tracing::warn!(error = %error, "a run cannot be taken over"),
            }
            drop(permit);
        });
    }

    fn check(&self, message: &Message) -> Result<Arc<Agent>, Error> {
        let agent = self.agent(&message.principal.agent)?;
        if message.text.trim().is_empty() {
            return Err(Error::EmptyMessage);
        }
        if message.text.len() > MAX_TEXT {
            return Err(Error::MessageTooLong { most: MAX_TEXT });
        }
        if !(1..=MAX_CLIENT_MESSAGE_ID).contains(&message.client_message_id.len()) {
            return Err(Error::ClientMessageId {
                most: MAX_CLIENT_MESSAGE_ID,
            });
        }
        Ok(agent)
    }

    fn agent(&self, name: &AgentName) -> Result<Arc<Agent>, Error> {
        self.parts
            .agents
            .get(name)
            .cloned()
            .ok_or_else(|| Error::UnknownAgent(name.clone()))
    }

    async fn open(
        &self,
        message: Message,
        agent: Arc<Agent>,
        permit: OwnedSemaphorePermit,
        tell: oneshot::Sender<Result<Joined, Error>>,
    ) {
        // a caller that went away needs no answer; its run goes on
        match self.open_turn(message, agent).await {
            Ok(Opened::New(run, driving)) => {
                // listens before the run goes on, so that the caller misses nothing
                let _ = tell.send(Ok(Joined::Here(driving.run().events().boxed())));
                self.drive(*run, driving).await;
            }
            Ok(Opened::Before(joined)) => {
                let _ = tell.send(Ok(joined));
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        }
        drop(permit);
    }

    async fn open_turn(&self, message: Message, agent: Arc<Agent>) -> Result<Opened, Error> {
        let Message {
            principal,
            token,
            client_message_id,
            text,
        } = message;
        let Parts {
            peers, clock, hub, ..
        } = self.parts();
        let budget = context::history_budget(&agent, &text).ok_or(Error::MessageTooLong {
            most: agent.limits.context as usize * 4,
        })?;
        let history = peers.memory.history(&token, budget).await?;
        let opening = context::messages(&history.turns, &text);
        let first = [
            Event::RunStarted(RunStarted {
                session_id: principal.session.to_string(),
                agent: principal.agent.to_string(),
                model: agent.model_name.clone(),
            }),
            Event::ContextBuilt(context::built(&agent, &history, &opening)),
        ];
        let told: Vec<_> = (1..)
            .zip(first)
            .map(|(cursor, event)| stamped(principal.run, cursor, clock.as_ref(), event))
            .collect();
        let entries = told.iter().cloned().map(|event| JournalEntry {
            cursor: event.cursor,
            event: Some(event),
            ..JournalEntry::default()
        });
        let request = BeginTurnRequest {
            client_message_id,
            text,
            entries: entries.collect(),
        };
        let (lease, cursor) = match peers.memory.begin(&token, request).await? {
            Begun::New { lease, cursor } => (lease, cursor),
            Begun::Existing { run } => {
                let here = run.parse().ok().and_then(|id: RunId| hub.get(id));
                return Ok(Opened::Before(here.map_or(Joined::Elsewhere(run), |run| {
                    Joined::Here(run.events().boxed())
                })));
            }
        };
        let Some(driving) = hub.drive(principal.run, lease.expires) else {
            return Err(Error::ShuttingDown);
        };
        driving.run().journalled(told);
        let place = Place {
            lease,
            cursor,
            progress: Progress::default(),
            opening,
        };
        let run = self.run(&driving, agent, (principal, token), place, history);
        Ok(Opened::New(Box::new(run), driving))
    }

    /// A run from its journal; `None` when there is nothing left to do.
    async fn read(&self, token: String, lease: Lease) -> Result<Option<(Run, Driving)>, Error> {
        let Parts {
            peers,
            clock,
            hub,
            tokens,
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
        let cursor = entries.last().map_or(0, |entry| entry.cursor);
        let Some(driving) = hub.drive(principal.run, lease.expires) else {
            return Ok(None);
        };
        driving
            .run()
            .journalled(entries.iter().filter_map(|entry| entry.event.clone()).collect());
        let progress = Progress::read(&entries).map_err(Error::Journal)?;
        let agent = self.agent(&principal.agent)?;
        let budget = context::history_budget(&agent, &header.text).unwrap_or(0);
        let history = peers.memory.history(&token, budget).await?;
        let opening = context::messages(&history.turns, &header.text);
        let place = Place {
            lease,
            cursor,
            progress,
            opening,
        };
        Ok(Some((
            self.run(&driving, agent, (principal, token), place, history),
            driving,
        )))
    }

    fn run(
        &self,
        driving: &Driving,
        agent: Arc<Agent>,
        (principal, token): (RunPrincipal, String),
        place: Place,
        history: History,
    ) -> Run {
        let Parts {
            peers, trail, clock, ..
        } = self.parts();
        let calls = Calls {
            peers: peers.clone(),
            principal: principal.clone(),
            token: token.clone(),
            tools: agent.tools.clone(),
            result_limit: agent.limits.result,
            clock: Arc::clone(clock),
            workspace: Workspace::new(history.workspace),
        };
        let Place {
            lease,
            cursor,
            progress,
            opening,
        } = place;
        let journal = Writer {
            memory: peers.memory.clone(),
            token,
            epoch: lease.epoch,
            cursor,
            live: Arc::clone(driving.run()),
            clock: Arc::clone(clock),
            pending: Vec::new(),
        };
        Run {
            agent,
            principal,
            live: Arc::clone(driving.run()),
            journal,
            opening,
            progress,
            calls: Arc::new(calls),
            peers: peers.clone(),
            trail: trail.clone(),
            clock: Arc::clone(clock),
        }
    }

    async fn drive(&self, run: Run, driving: Driving) {
        let (token, epoch) = (run.journal.token.clone(), run.journal.epoch);
        // whether its beginning is on record is not known before the first response
        if run.progress.steps == 0 {
            self.while_leased(&token, epoch, &driving, run.begin()).await;
        } else {
            self.while_leased(&token, epoch, &driving, run.drive()).await;
        }
    }

    /// Drops the work at once when the lease is lost or the node stops: the journal is enough to go on from.
    async fn while_leased(&self, token: &str, epoch: u64, driving: &Driving, work: impl Future<Output = ()>) {
        let Parts {
            peers, clock, tasks, ..
        } = self.parts();
        tokio::select! {
            biased;
            () = tasks.token().cancelled_owned() => {}
            () = lease::keep(driving.run(), &peers.memory, token, epoch, clock.as_ref()) => {}
            () = work => {}
        }
    }
}

/// A turn after BeginTurn.
enum Opened {
    New(Box<Run>, Driving),
    Before(Joined),
}

/// Where in its journal a run is.
struct Place {
    lease: Lease,
    cursor: u64,
    progress: Progress,
    opening: Vec<crate::domain::model::Message>,
}

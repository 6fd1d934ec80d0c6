//! One replica of runtime: takes messages, drives runs, takes over those of others. It holds nothing that cannot be lost.

pub(crate) mod drain;
mod opening;
pub(crate) mod personal;
mod summing;
mod turn;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use harombe_identity::TokenVerifier;
use harombe_proto::types::v1::{ClaimedMessage, RunEvent};
use harombe_rpc::TaskSet;
use harombe_trail::Trail;
use harombe_types::{AgentName, Clock, RunPrincipal};
use tokio::sync::{Semaphore, oneshot};

use crate::domain::agent::Agent;
use crate::domain::run::{Ended, Run};
use crate::domain::tools::Registry;
use crate::error::Error;
use crate::live::{Driving, Hub};
use crate::metrics::{LetGo, Numbers};
use crate::peers::{Claim, Peers};
use crate::room::{Room, Seat};
use drain::Drain;
use turn::Opened;

/// Longest message of a person, in bytes.
pub(crate) const MAX_TEXT: usize = 1 << 20;

/// Longest instructions of a client, in bytes.
const MAX_INSTRUCTIONS: usize = 64 << 10;

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
    pub room: Room,
    /// What it does, in numbers.
    pub numbers: Arc<Numbers>,
    /// How it goes away.
    pub drain: Drain,
    /// Bytes of a tool's answer that a person is told.
    pub result_limit: usize,
    /// Places for sessions that are summed up.
    pub summing: Arc<Semaphore>,
}

/// A person's message, as the gateway hands it on.
#[derive(Clone)]
pub(crate) struct Message {
    /// The run that it is to begin.
    pub principal: RunPrincipal,
    /// That run's token.
    pub token: String,
    /// The client's own id for it.
    pub client_message_id: String,
    /// What it says.
    pub text: String,
    /// What the client says was said before.
    pub history: Vec<ClaimedMessage>,
    /// The client's own instructions for the run.
    pub client_instructions: String,
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
        self.parts.room.free()
    }

    /// Opens the turn and drives its run, which outlives the caller.
    ///
    /// # Errors
    /// The message cannot be taken; nothing was begun.
    pub(crate) async fn begin(&self, message: Message) -> Result<Joined, Error> {
        if self.parts.drain.leaving().is_cancelled() {
            return Err(Error::ShuttingDown);
        }
        let agent = self.check(&message)?;
        // whoever did not hear the answer asks again: another lease would take the run from its driver, who is here
        if let Some(run) = self.parts.hub.get(message.principal.run) {
            return Ok(Joined::Here(run.events().boxed()));
        }
        let Some(seat) = self.parts.room.enter() else {
            self.parts.numbers.refused();
            return Err(Error::TooManyRuns);
        };
        let (tell, told) = oneshot::channel();
        let node = self.clone();
        self.parts.tasks.spawn(Box::pin(
            async move { node.open(message, agent, seat, tell).await },
        ));
        told.await.unwrap_or(Err(Error::ShuttingDown))
    }

    /// Goes on with a run whose lease this node has taken.
    pub(crate) async fn resume(&self, claim: Claim) {
        let Claim {
            token,
            lease,
            cancel_requested,
            ..
        } = claim;
        let Some(seat) = self.parts.room.enter() else {
            // others were let in since the node asked for runs
            self.parts.peers.memory.release(&token, lease.epoch).await;
            return;
        };
        let node = self.clone();
        self.parts.tasks.spawn(Box::pin(async move {
            match Box::pin(node.read(token, lease, seat)).await {
                Ok(Some((run, driving))) => {
                    if cancel_requested {
                        driving.run().cancel.cancel();
                    }
                    node.drive(run, driving).await;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(error = %error, "a run cannot be taken over"),
            }
        }));
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
        if message.client_instructions.len() > MAX_INSTRUCTIONS {
            return Err(Error::Instructions {
                most: MAX_INSTRUCTIONS,
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
        seat: Seat,
        tell: oneshot::Sender<Result<Joined, Error>>,
    ) {
        // a caller that went away needs no answer; its run goes on
        match Box::pin(self.open_turn(message, agent, seat)).await {
            Ok(Opened::New(run, driving)) => {
                // listens before the run goes on, so that the caller misses nothing
                let _ = tell.send(Ok(Joined::Here(driving.run().events().boxed())));
                self.drive(run, driving).await;
            }
            Ok(Opened::Before(joined)) => {
                let _ = tell.send(Ok(joined));
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        }
    }

    async fn drive(&self, mut run: Box<Run>, driving: Driving) {
        let driven = self.parts.drain.driving();
        let left = self.while_leased(&driving, pin!(run.drive())).await;
        let (agent, token) = (Arc::clone(&run.agent), Arc::clone(&run.journal.token));
        // its place is free before its listeners hear that there is nothing more
        drop(run);
        if let Err(why) = left {
            self.parts.numbers.let_go(why);
        }
        // only a node that goes away: what stopped a run here would stop it again a moment later
        if left == Err(LetGo::Draining) {
            let epoch = driving.run().epoch;
            self.parts.peers.memory.release(&token, epoch).await;
        }
        drop(driven);
        drop(driving);
        if left == Ok(Ended::Answered) {
            self.sum_up(agent, token);
        }
    }

    /// Drops the work at once when the lease is lost or the node has no more time: the journal is enough to go on from.
    /// How the run has ended, or why it has not.
    async fn while_leased(
        &self,
        driving: &Driving,
        work: impl Future<Output = Ended>,
    ) -> Result<Ended, LetGo> {
        let (run, drain) = (driving.run(), &self.parts.drain);
        let ended = tokio::select! {
            biased;
            () = drain.now().cancelled() => Ended::LetGo,
            () = run.lease_over() => Ended::LetGo,
            ended = work => ended,
        };
        if ended != Ended::LetGo {
            return Ok(ended);
        }
        let why = if run.is_lease_over() {
            LetGo::LeaseLost
        } else if drain.leaving().is_cancelled() {
            LetGo::Draining
        } else {
            LetGo::Stuck
        };
        tracing::warn!(run = %run.id, ?why, "this node lets the run go; another one will go on");
        Err(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calls::Calls;
    use crate::domain::journal::Steps;
    use crate::domain::state::OpenCall;

    /// Thousands of runs may wait here. Each has one of these futures, and one more for each call.
    const MOST: usize = 8 << 10;

    fn size<A, F>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_run_that_waits_holds_only_what_it_needs() {
        let run = size(
            async |(node, message, agent, seat, tell): (Node, Message, _, _, _)| {
                node.open(message, agent, seat, tell).await;
            },
        );
        let call = size(async |(calls, open, steps): (Arc<Calls>, OpenCall, Steps)| {
            let _ = calls.perform(&open, &steps).await;
        });
        assert!(run < MOST && call < MOST, "{run} and {call} bytes");
    }
}

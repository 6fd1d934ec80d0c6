//! A run's events for whoever asked for them: from the node that drives it, and from the journal when that node goes away.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::types::v1::RunEvent;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::{memory::v1 as memory, runtime::v1 as runtime};
use harombe_types::{Person, RunPrincipal, ServiceName};
use tonic::{Status, Streaming};

use super::Answers;
use crate::domain::quota::Spent;
use crate::peers::{MEMORY, Peer, Peers, RUNTIME, passed_on};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Tries in a row that bring no event, some ten seconds together: a node that is replaced, a store that restarts.
const TRIES: u32 = 14;
/// Tries in a row at nodes that have no room, a third of a second together: calls go round, and not all nodes are full.
const FULL_TRIES: u32 = 4;
/// A node without room says to come again within this; a limit that is everybody's alike, such as that of a person's runs,
/// asks for more patience, and no other node would answer otherwise.
const SOON: Duration = Duration::from_secs(5);

/// A message that is to begin a run.
pub(crate) struct Begin {
    pub(crate) message: runtime::RunRequest,
    /// As whom the run acts, if the message has not begun one before.
    pub(crate) run: RunPrincipal,
    /// What the message was counted as.
    pub(crate) spent: Option<Spent>,
}

enum Source {
    Runtime(Streaming<runtime::RunResponse>),
    Journal(Streaming<memory::WatchResponse>),
    /// To be asked again; whom, the rest of the follower says.
    Lost,
}

struct Follower {
    peers: Peers,
    person: Person,
    /// The run that the events are of; another than was asked for when the message began one before.
    run: String,
    /// Until it is known that the run has begun: any node may be asked for it again.
    begin: Option<Begin>,
    /// Of the last journalled event that was passed on.
    cursor: u64,
    source: Source,
    tries: u32,
    ended: bool,
}

/// Begins a run and follows it until it has ended. It outlives the node that drives it: when the node's stream breaks off,
/// the journal has what was missed and what another node does next.
pub(crate) async fn begun(peers: Peers, person: Person, begin: Begin) -> Result<Answers<RunEvent>, Status> {
    let mut follower = Follower {
        peers,
        person,
        run: begin.run.run.to_string(),
        begin: Some(begin),
        cursor: 0,
        source: Source::Lost,
        tries: 0,
        ended: false,
    };
    while let Source::Lost = follower.source {
        if let Err(status) = follower.ask().await {
            // Refused before anything began.
            if let Some(spent) = follower.begin.take().and_then(|begin| begin.spent) {
                spent.give_back().await;
            }
            return Err(status);
        }
    }
    Ok(follower.into_stream())
}

/// Follows a run of the person's own from the journal.
pub(crate) async fn journalled(
    peers: Peers,
    person: Person,
    run: String,
    after_cursor: u64,
) -> Result<Answers<RunEvent>, Status> {
    let mut follower = Follower {
        peers,
        person,
        run,
        begin: None,
        cursor: after_cursor,
        source: Source::Lost,
        tries: 0,
        ended: false,
    };
    while let Source::Lost = follower.source {
        follower.ask().await?;
    }
    Ok(follower.into_stream())
}

impl Follower {
    fn into_stream(self) -> Answers<RunEvent> {
        Box::pin(futures_util::stream::unfold(self, |mut follower| async {
            let item = follower.next().await?;
            Some((item, follower))
        }))
    }

    async fn next(&mut self) -> Option<Result<RunEvent, Status>> {
        while !self.ended {
            match self.receive().await {
                Ok(Some(event)) => {
                    if self.is_new(&event).await {
                        return Some(Ok(event));
                    }
                }
                Ok(None) => {}
                Err(status) => {
                    self.ended = true;
                    return Some(Err(status));
                }
            }
        }
        None
    }

    /// The next event; `None` when whoever was asked has no more, and somebody is to be asked again.
    async fn receive(&mut self) -> Result<Option<RunEvent>, Status> {
        let (peer, received) = match &mut self.source {
            Source::Runtime(stream) => {
                let received = stream.message().await;
                (
                    RUNTIME,
                    received.map(|message| message.map(|message| message.event)),
                )
            }
            Source::Journal(stream) => {
                let received = stream.message().await;
                (
                    MEMORY,
                    received.map(|message| message.map(|message| message.event)),
                )
            }
            Source::Lost => {
                self.ask().await?;
                return Ok(None);
            }
        };
        match received {
            Ok(Some(event)) => Ok(Some(event.unwrap_or_default())),
            // The node has handed the run over, or is done with a run that another message began.
            Ok(None) if matches!(self.source, Source::Runtime(_)) => {
                self.begin = None;
                self.source = Source::Lost;
                Ok(None)
            }
            // The journal ends with the run, and the client may have seen the end before.
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(status) if self.tries < TRIES && self.is_lost(&status) => {
                self.source = Source::Lost;
                Ok(None)
            }
            Err(status) => Err(passed_on(peer, &status)),
        }
    }

    /// Whether somebody else can go on where this stream broke off. What a node refuses before the run has begun is
    /// refused; after that the run goes on elsewhere whatever became of the node.
    fn is_lost(&self, status: &Status) -> bool {
        let failure = Failure::from(status);
        match failure.code {
            Code::Unavailable => self.begin.is_none() || failure.reason == Reason::Unavailable,
            Code::FailedPrecondition => self.begin.is_none() && failure.reason == Reason::LeaseLost,
            // It says when there may be room again; the next node may have some now.
            Code::ResourceExhausted => {
                let soon = failure.retry_after.is_some_and(|wait| wait <= SOON);
                self.begin.is_some() && soon && self.tries < FULL_TRIES
            }
            _ => false,
        }
    }

    /// Opens a stream: of the run's node while it is not known that the run has begun, of the journal after that. Leaves
    /// the source lost when it is to be tried again.
    async fn ask(&mut self) -> Result<(), Status> {
        if self.tries > 0 {
            let pause = FIRST_PAUSE.saturating_mul(1 << (self.tries - 1).min(8));
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        }
        self.tries += 1;
        let (peer, opened) = match &self.begin {
            Some(begin) => (RUNTIME, self.run_node(begin).await.map(Source::Runtime)),
            None => (MEMORY, self.journal().await.map(Source::Journal)),
        };
        match opened {
            Ok(source) => {
                self.source = source;
                Ok(())
            }
            Err(Asked::Answered(status)) if self.tries < TRIES && self.is_lost(&status) => {
                tracing::debug!(
                    peer = peer.name,
                    run = self.run,
                    "asking again for a run's events"
                );
                Ok(())
            }
            Err(asked) => Err(asked.passed_on(peer)),
        }
    }

    async fn run_node(&self, begin: &Begin) -> Result<Streaming<runtime::RunResponse>, Asked> {
        let request = self.peers.tokens.run(begin.message.clone(), &begin.run)?;
        let answered = self.peers.runtime.clone().run(request).await;
        answered.map(tonic::Response::into_inner).map_err(Asked::Answered)
    }

    async fn journal(&self) -> Result<Streaming<memory::WatchResponse>, Asked> {
        let message = memory::WatchRequest {
            run_id: self.run.clone(),
            after_cursor: self.cursor,
        };
        let request = self
            .peers
            .tokens
            .person(message, &self.person, ServiceName::Memory)?;
        let answered = self.peers.journal.clone().watch(request).await;
        answered.map(tonic::Response::into_inner).map_err(Asked::Answered)
    }

    /// Takes note of the event. One without content only says which run it is.
    async fn is_new(&mut self, event: &RunEvent) -> bool {
        self.tries = 0;
        if !event.run_id.is_empty() && event.run_id != self.run {
            self.run.clone_from(&event.run_id);
            // Another message began it, and was counted.
            if let Some(spent) = self.begin.as_mut().and_then(|begin| begin.spent.take()) {
                spent.give_back().await;
            }
        }
        self.begin = None;
        let Some(content) = &event.event else { return false };
        self.cursor = self.cursor.max(event.cursor);
        self.ended = matches!(content, Event::RunFinished(_) | Event::RunFailed(_));
        true
    }
}

/// Why there is no stream.
enum Asked {
    Answered(Status),
    Own(crate::Error),
}

impl From<crate::Error> for Asked {
    fn from(error: crate::Error) -> Self {
        Self::Own(error)
    }
}

impl Asked {
    fn passed_on(self, peer: Peer) -> Status {
        match self {
            Self::Answered(status) => passed_on(peer, &status),
            Self::Own(error) => error.into(),
        }
    }
}

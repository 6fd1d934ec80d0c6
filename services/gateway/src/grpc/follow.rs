//! A run's events for whoever began it: from the node that drives it, and from the journal when that node goes away.

use harombe_error::{Code, Failure};
use harombe_proto::types::v1::RunEvent;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::{memory::v1 as memory, runtime::v1 as runtime};
use harombe_types::{Person, ServiceName};
use tonic::{Status, Streaming};

use super::Answers;
use crate::peers::{MEMORY, Peers, RUNTIME, passed_on};

enum Source {
    Runtime(Streaming<runtime::RunResponse>),
    Journal(Streaming<memory::WatchResponse>),
}

struct Follower {
    peers: Peers,
    person: Person,
    /// The run that the events are of; another than was asked for when the message began one before.
    run: String,
    /// Of the last journalled event that was passed on.
    cursor: u64,
    source: Source,
    ended: bool,
}

/// The events of `run` until it has ended. A run outlives the node that drives it: when the node's stream breaks off,
/// the journal has what was missed and what another node does next.
pub(crate) fn events(
    peers: Peers,
    person: Person,
    run: String,
    stream: Streaming<runtime::RunResponse>,
) -> Answers<RunEvent> {
    let source = Source::Runtime(stream);
    let follower = Follower {
        peers,
        person,
        run,
        cursor: 0,
        source,
        ended: false,
    };
    Box::pin(futures_util::stream::unfold(follower, |mut follower| async {
        let item = follower.next().await?;
        Some((item, follower))
    }))
}

impl Follower {
    async fn next(&mut self) -> Option<Result<RunEvent, Status>> {
        while !self.ended {
            match self.receive().await {
                Ok(Some(event)) => {
                    if self.is_new(&event) {
                        return Some(Ok(event));
                    }
                }
                Ok(None) if matches!(self.source, Source::Journal(_)) => return None,
                Ok(None) => {
                    if let Err(status) = self.turn_to_journal().await {
                        self.ended = true;
                        return Some(Err(status));
                    }
                }
                Err(status) => {
                    self.ended = true;
                    return Some(Err(status));
                }
            }
        }
        None
    }

    /// The next event; `None` when the source has no more. A node that cannot be reached any more has no more.
    async fn receive(&mut self) -> Result<Option<RunEvent>, Status> {
        match &mut self.source {
            Source::Runtime(stream) => match stream.message().await {
                Ok(message) => Ok(message.map(|message| message.event.unwrap_or_default())),
                Err(status) if self.cursor > 0 && Failure::from(&status).code == Code::Unavailable => {
                    Ok(None)
                }
                Err(status) => Err(passed_on(RUNTIME, &status)),
            },
            Source::Journal(stream) => match stream.message().await {
                Ok(message) => Ok(message.map(|message| message.event.unwrap_or_default())),
                Err(status) => Err(passed_on(MEMORY, &status)),
            },
        }
    }

    /// Takes note of the event. One without content only says which run it is.
    fn is_new(&mut self, event: &RunEvent) -> bool {
        if !event.run_id.is_empty() {
            self.run.clone_from(&event.run_id);
        }
        let Some(content) = &event.event else { return false };
        self.cursor = self.cursor.max(event.cursor);
        self.ended = matches!(content, Event::RunFinished(_) | Event::RunFailed(_));
        true
    }

    async fn turn_to_journal(&mut self) -> Result<(), Status> {
        let message = memory::WatchRequest {
            run_id: self.run.clone(),
            after_cursor: self.cursor,
        };
        let request = self
            .peers
            .tokens
            .person(message, &self.person, ServiceName::Memory)?;
        let watched = self.peers.journal.clone().watch(request).await;
        self.source = Source::Journal(watched.map_err(|status| passed_on(MEMORY, &status))?.into_inner());
        Ok(())
    }
}

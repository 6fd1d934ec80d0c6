//! A run's events in order, over as many connections as it takes.

use std::time::Duration;

use futures_util::stream::{BoxStream, Peekable};
use futures_util::{StreamExt as _, TryStreamExt as _};
use harombe_error::{Failure, Reason};
use harombe_proto::agent::v1::{SendMessageRequest, WatchRunRequest};
use harombe_proto::types::v1::RunEvent;
use harombe_proto::types::v1::run_event::Event;
use tonic::Status;

use super::Error;
use crate::attach::Client;

/// A run that is followed to its end.
pub(super) struct Following {
    /// What began it, when it was begun here.
    message: Option<SendMessageRequest>,
    /// Empty before its first event.
    run: String,
    /// From where a new stream goes on.
    cursor: u64,
    /// Since something was last heard of it.
    tries: u32,
    events: Events,
}

type Events = Peekable<BoxStream<'static, Result<RunEvent, Status>>>;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

impl Following {
    /// Sends a message and follows its run. Sent again, the message is the same one and joins the run that it began.
    pub(super) async fn say(client: &mut Client, message: SendMessageRequest) -> Result<Self, Status> {
        let events = sent(client, message.clone()).await?;
        Ok(Self {
            message: Some(message),
            run: String::new(),
            cursor: 0,
            tries: 0,
            events,
        })
    }

    /// A message that has not come through yet: the first try to go on sends it.
    pub(super) fn waiting(message: SendMessageRequest) -> Self {
        Self {
            message: Some(message),
            run: String::new(),
            cursor: 0,
            tries: 0,
            events: futures_util::stream::empty().boxed().peekable(),
        }
    }

    /// Follows a run that goes on already, from its beginning.
    pub(super) async fn join(client: &mut Client, run: &str) -> Result<Self, Status> {
        let events = watched(client, run, 0).await?;
        Ok(Self {
            message: None,
            run: run.to_owned(),
            cursor: 0,
            tries: 0,
            events,
        })
    }

    /// Of events that have come already.
    #[cfg(test)]
    pub(super) fn of(events: Vec<RunEvent>) -> Self {
        let events = futures_util::stream::iter(events.into_iter().map(Ok));
        Self {
            message: None,
            run: String::new(),
            cursor: 0,
            tries: 0,
            events: events.boxed().peekable(),
        }
    }

    /// Empty before the first event.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The next event; a fault, or nothing, when the stream broke off before the run's end. Can be called off.
    pub(super) async fn next(&mut self) -> Result<RunEvent, Option<Status>> {
        match self.events.next().await {
            Some(Ok(event)) => {
                self.note(&event);
                Ok(event)
            }
            Some(Err(status)) => Err(Some(status)),
            None => Err(None),
        }
    }

    /// Waits until there is something to hear, without taking it.
    pub(super) async fn heard(&mut self) {
        std::pin::Pin::new(&mut self.events).peek().await;
    }

    fn note(&mut self, event: &RunEvent) {
        self.run.clone_from(&event.run_id);
        self.tries = 0;
        // A question is asked anew, unless something came after it: it may not have been answered.
        let asks = matches!(event.event, Some(Event::ApprovalRequired(_)));
        self.cursor = self.cursor.max(event.cursor.saturating_sub(u64::from(asks)));
    }

    /// How long to wait before the next try to go on.
    ///
    /// # Errors
    /// What broke the stream off, when it does not pass or was tried often enough.
    pub(super) fn pause(&mut self, why: Option<Status>, tries: u32) -> Result<Duration, Error> {
        let passes = why
            .as_ref()
            .is_none_or(|status| status.code() == tonic::Code::Unavailable);
        if !passes || self.tries >= tries {
            return Err(why.map_or(Error::CutShort, Error::from));
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.tries.min(8));
        self.tries += 1;
        Ok(pause.min(LONGEST_PAUSE))
    }

    /// Goes on where the stream broke off. The run has not: it waits for nobody.
    pub(super) async fn reopen(&mut self, client: &mut Client) -> Result<(), Status> {
        self.events = match &self.message {
            Some(message) if self.run.is_empty() => sent(client, message.clone()).await?,
            _ => watched(client, &self.run, self.cursor).await?,
        };
        Ok(())
    }
}

async fn sent(client: &mut Client, message: SendMessageRequest) -> Result<Events, Status> {
    let stream = client.agent.send_message(message).await?.into_inner();
    let events = stream.map_ok(|response| response.event.unwrap_or_default());
    Ok(events.boxed().peekable())
}

async fn watched(client: &mut Client, run: &str, after_cursor: u64) -> Result<Events, Status> {
    let request = WatchRunRequest {
        run_id: run.to_owned(),
        after_cursor,
    };
    let stream = client.agent.watch_run(request).await?.into_inner();
    let events = stream.map_ok(|response| response.event.unwrap_or_default());
    Ok(events.boxed().peekable())
}

/// Somebody was faster to decide, or the deadline was.
pub(super) fn is_settled(status: &Status) -> bool {
    let reason = Failure::from(status.clone()).reason;
    matches!(reason, Reason::AlreadyDecided | Reason::ApprovalExpired)
}

/// Whether two texts are the same JSON.
pub(super) fn same_json(a: &str, b: &str) -> bool {
    match (
        serde_json::from_str::<serde_json::Value>(a),
        serde_json::from_str::<serde_json::Value>(b),
    ) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

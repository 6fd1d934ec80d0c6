//! A client in a session: sends a message, answers approvals, keeps what it was told.

use harombe::attach::Client;
use harombe_proto::agent::v1::{
    CreateSessionRequest, SendMessageRequest, SendMessageResponse, WatchRunRequest,
};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Decision, RunEvent, ToolFinished};
use harombe_types::{EventId, SystemClock};
use tonic::{Status, Streaming};

/// What to say to an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Approve,
    Deny,
    /// Nothing: somebody else does, or time does.
    Leave,
}

/// A session and what came of its last message.
pub struct Talk {
    pub client: Client,
    pub session: String,
    /// Every event of the last run that was received, in order.
    pub events: Vec<RunEvent>,
}

impl Talk {
    /// Begins a session.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn begin(mut client: Client) -> Result<Self, Status> {
        let created = client
            .agent
            .create_session(CreateSessionRequest::default())
            .await?
            .into_inner();
        let session = created.session.unwrap_or_default().session_id;
        Ok(Self {
            client,
            session,
            events: Vec::new(),
        })
    }

    /// Sends a message and follows its run to the end.
    ///
    /// # Errors
    /// The server's refusal, or the stream's end before the run's; what came until then is in `events`.
    pub async fn say(&mut self, text: &str, answer: Answer) -> Result<(), Status> {
        let id = EventId::generate(&SystemClock).to_string();
        self.say_as(&id, text, answer).await
    }

    /// The same, with the client's own id for the message: sent again, it joins the run that it began.
    ///
    /// # Errors
    /// As [`Talk::say`].
    pub async fn say_as(&mut self, id: &str, text: &str, answer: Answer) -> Result<(), Status> {
        self.events.clear();
        let request = SendMessageRequest {
            session_id: self.session.clone(),
            client_message_id: id.to_owned(),
            text: text.to_owned(),
        };
        let stream = self.client.agent.send_message(request).await?.into_inner();
        self.follow(stream, answer).await
    }

    async fn follow(
        &mut self,
        mut stream: Streaming<SendMessageResponse>,
        answer: Answer,
    ) -> Result<(), Status> {
        while let Some(response) = stream.message().await? {
            let event = response.event.unwrap_or_default();
            if let Some(Event::ApprovalRequired(required)) = &event.event {
                let decision = match answer {
                    Answer::Approve => Some(Decision::Approved),
                    Answer::Deny => Some(Decision::Denied),
                    Answer::Leave => None,
                };
                if let Some(decision) = decision {
                    self.client
                        .decide(&required.approval_id, decision, false, "")
                        .await?;
                }
            }
            self.events.push(event);
        }
        Ok(())
    }

    /// The journalled events of a run from its beginning.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn watched(&mut self, run_id: &str) -> Result<Vec<RunEvent>, Status> {
        let request = WatchRunRequest {
            run_id: run_id.to_owned(),
            after_cursor: 0,
        };
        let mut stream = self.client.agent.watch_run(request).await?.into_inner();
        let mut events = Vec::new();
        while let Some(response) = stream.message().await? {
            events.push(response.event.unwrap_or_default());
        }
        Ok(events)
    }

    /// The run of the last message.
    #[must_use]
    pub fn run_id(&self) -> &str {
        self.events.first().map_or("", |event| &event.run_id)
    }

    /// The names of the events received, without deltas and usage.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let names = self.events.iter().map(name_of);
        names
            .filter(|name| !["text_delta", "tool_output", "usage"].contains(name))
            .collect()
    }

    /// How each tool call ended, in order.
    #[must_use]
    pub fn finished(&self) -> Vec<&ToolFinished> {
        let events = self.events.iter().filter_map(|event| event.event.as_ref());
        events
            .filter_map(|event| match event {
                Event::ToolFinished(finished) => Some(finished),
                _ => None,
            })
            .collect()
    }

    /// What the tools printed, as it streamed.
    #[must_use]
    pub fn output(&self) -> String {
        let mut bytes = Vec::new();
        for event in &self.events {
            if let Some(Event::ToolOutput(output)) = &event.event {
                bytes.extend_from_slice(&output.data);
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The texts of the model, in order.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        let events = self.events.iter().filter_map(|event| event.event.as_ref());
        events
            .filter_map(|event| match event {
                Event::TextFinished(finished) => Some(finished.text.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Why the run failed; empty when it did not.
    #[must_use]
    pub fn failure(&self) -> &str {
        match self.events.last().and_then(|event| event.event.as_ref()) {
            Some(Event::RunFailed(failed)) => &failed.reason,
            _ => "",
        }
    }
}

/// The field of the event's oneof.
#[must_use]
pub fn name_of(event: &RunEvent) -> &'static str {
    match event.event {
        Some(Event::RunStarted(_)) => "run_started",
        Some(Event::ContextBuilt(_)) => "context_built",
        Some(Event::TextDelta(_)) => "text_delta",
        Some(Event::TextFinished(_)) => "text_finished",
        Some(Event::ToolCallProposed(_)) => "tool_call_proposed",
        Some(Event::ApprovalRequired(_)) => "approval_required",
        Some(Event::ApprovalDecided(_)) => "approval_decided",
        Some(Event::ToolStarted(_)) => "tool_started",
        Some(Event::ToolOutput(_)) => "tool_output",
        Some(Event::ToolFinished(_)) => "tool_finished",
        Some(Event::Usage(_)) => "usage",
        Some(Event::RunFinished(_)) => "run_finished",
        Some(Event::RunFailed(_)) => "run_failed",
        None => "none",
    }
}

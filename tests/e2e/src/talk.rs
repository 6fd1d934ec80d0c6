//! A client in a session: sends a message, answers approvals, keeps what it was told.

use std::time::Duration;

use bytes::Bytes;
use harombe::attach::Client;
use harombe_error::{Failure, Reason};
use harombe_proto::agent::v1::upload_file_request::Frame;
use harombe_proto::agent::v1::{
    CreateSessionRequest, DownloadFileRequest, SendMessageRequest, SendMessageResponse, UploadFileRequest,
    UploadStart, WatchRunRequest,
};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Decision, RunEvent, ToolFinished};
use harombe_types::{EventId, SystemClock};
use sha2::{Digest as _, Sha256};
use tonic::{Status, Streaming};

use crate::Account;

/// Longest silence of a run: not a measure, only an end for what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

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
    /// Where whatever is received is kept, if anywhere.
    account: Option<Account>,
    /// Streams begun so far.
    streams: u64,
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
        Ok(Self::of(client, session))
    }

    /// In a session that is there.
    #[must_use]
    pub fn of(client: Client, session: String) -> Self {
        Self {
            client,
            session,
            events: Vec::new(),
            account: None,
            streams: 0,
        }
    }

    /// The same, and whatever is received is kept there.
    #[must_use]
    pub fn kept_in(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
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
        let stream = self.send(id, text).await?;
        self.follow(stream, answer).await
    }

    /// Sends a message and leaves its stream to the caller.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn send(&mut self, id: &str, text: &str) -> Result<Streaming<SendMessageResponse>, Status> {
        self.events.clear();
        self.streams += 1;
        let request = SendMessageRequest {
            session_id: self.session.clone(),
            client_message_id: id.to_owned(),
            text: text.to_owned(),
            ..SendMessageRequest::default()
        };
        Ok(self.client.agent.send_message(request).await?.into_inner())
    }

    /// Receives events until one has that name, which is the last one received.
    ///
    /// # Errors
    /// The stream's end before it.
    pub async fn until(
        &mut self,
        stream: &mut Streaming<SendMessageResponse>,
        name: &str,
    ) -> Result<RunEvent, Status> {
        while let Some(event) = self.next(stream).await? {
            self.events.push(event.clone());
            if name_of(&event) == name {
                return Ok(event);
            }
        }
        Err(Status::aborted(format!("the run ended before {name}")))
    }

    /// Follows a run to its end.
    ///
    /// # Errors
    /// As [`Talk::say`].
    pub async fn follow(
        &mut self,
        mut stream: Streaming<SendMessageResponse>,
        answer: Answer,
    ) -> Result<(), Status> {
        while let Some(event) = self.next(&mut stream).await? {
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

    /// The next event, or an end to what hangs.
    async fn next(&self, stream: &mut Streaming<SendMessageResponse>) -> Result<Option<RunEvent>, Status> {
        let received = tokio::time::timeout(PATIENCE, stream.message()).await;
        let received = received.map_err(|_| Status::deadline_exceeded("the run says nothing any more"))??;
        let event = received.map(|response| response.event.unwrap_or_default());
        if let (Some(account), Some(event)) = (&self.account, &event) {
            account.hear(self.streams, event);
        }
        Ok(event)
    }

    /// The journalled events of a run from its beginning.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn watched(&mut self, run_id: &str) -> Result<Vec<RunEvent>, Status> {
        self.watched_after(run_id, 0).await
    }

    /// Those after a cursor.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn watched_after(&mut self, run_id: &str, after_cursor: u64) -> Result<Vec<RunEvent>, Status> {
        let request = WatchRunRequest {
            run_id: run_id.to_owned(),
            after_cursor,
        };
        let mut stream = self.client.agent.watch_run(request).await?.into_inner();
        let mut events = Vec::new();
        while let Some(response) = stream.message().await? {
            events.push(response.event.unwrap_or_default());
        }
        Ok(events)
    }

    /// Puts a file into the session's workspace.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn upload(&mut self, path: &str, content: &[u8]) -> Result<(), Status> {
        let start = UploadStart {
            session_id: self.session.clone(),
            path: path.to_owned(),
            size: content.len() as u64,
            sha256: Bytes::from_owner(Sha256::digest(content)),
        };
        let data = content.chunks(64 << 10).map(Bytes::copy_from_slice);
        let frames: Vec<_> = std::iter::once(Frame::Start(start))
            .chain(data.map(Frame::Data))
            .map(|frame| UploadFileRequest { frame: Some(frame) })
            .collect();
        let uploaded = self.client.agent.upload_file(tokio_stream::iter(frames)).await;
        uploaded.map(drop)
    }

    /// A file of the session's workspace.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn download(&mut self, path: &str) -> Result<Vec<u8>, Status> {
        let request = DownloadFileRequest {
            session_id: self.session.clone(),
            path: path.to_owned(),
        };
        let mut parts = self.client.agent.download_file(request).await?.into_inner();
        let mut content = Vec::new();
        while let Some(part) = parts.message().await? {
            content.extend_from_slice(&part.data);
        }
        Ok(content)
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

/// Why a call was refused.
#[must_use]
pub fn reason_of(status: &Status) -> Reason {
    Failure::from(status).reason
}

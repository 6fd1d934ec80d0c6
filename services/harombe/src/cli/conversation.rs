//! One message and everything that it sets off, shown as it happens; approvals are answered on the way.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use harombe_proto::agent::v1::{
    CancelRunRequest, CreateSessionRequest, SendMessageRequest, UploadFileRequest, UploadStart,
    upload_file_request,
};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{ApprovalRequired, Decision, StopReason};
use harombe_types::{EventId, SystemClock};
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Error;
use super::following::{Following, is_settled, same_json};
use crate::attach::{Client, Place};
use crate::terminal::{Answer, Answers, Prompt, Screen};

/// How a run ended.
#[derive(Debug)]
pub(super) enum End {
    Finished(StopReason),
    Failed,
}

/// A session and the terminal it is shown on.
pub(super) struct Conversation<W> {
    pub(super) client: Client,
    pub(super) session: String,
    pub(super) screen: Screen<W>,
    place: Place,
    answers: Answers,
    prompt: Option<Prompt>,
    interrupt: Signal,
}

impl<W: Write + Send> Conversation<W> {
    /// Begins a session, or goes on with one.
    pub(super) async fn open(
        mut client: Client,
        place: &Place,
        session: Option<String>,
        screen: Screen<W>,
        answers: Answers,
    ) -> Result<Self, Error> {
        let session = match session {
            Some(session) => session,
            None => {
                let created = client
                    .agent
                    .create_session(CreateSessionRequest::default())
                    .await?
                    .into_inner();
                created.session.unwrap_or_default().session_id
            }
        };
        let prompt = (answers == Answers::Terminal).then(Prompt::start);
        Ok(Self {
            client,
            session,
            screen,
            place: place.clone(),
            answers,
            prompt,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Puts a file into the session's workspace under its own name.
    pub(super) async fn upload(&mut self, path: &Path) -> Result<(), Error> {
        let content = std::fs::read(path).map_err(|source| Error::File {
            what: "cannot read",
            path: path.to_owned(),
            source,
        })?;
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| Error::Usage(format!("{} has no file name in UTF-8", path.display())))?;
        self.upload_bytes(name, content).await
    }

    pub(super) async fn upload_bytes(&mut self, name: &str, content: Vec<u8>) -> Result<(), Error> {
        let start = UploadStart {
            session_id: self.session.clone(),
            path: name.to_owned(),
            size: content.len() as u64,
            sha256: Bytes::copy_from_slice(&Sha256::digest(&content)),
        };
        let content = Bytes::from(content);
        let chunks = (0..content.len()).step_by(UPLOAD_CHUNK).map(move |at| {
            let end = content.len().min(at + UPLOAD_CHUNK);
            upload_file_request::Frame::Data(content.slice(at..end))
        });
        let frames = std::iter::once(upload_file_request::Frame::Start(start)).chain(chunks);
        let requests = frames.map(|frame| UploadFileRequest { frame: Some(frame) });
        let done = self
            .client
            .agent
            .upload_file(tokio_stream::iter(requests))
            .await?
            .into_inner();
        self.screen.step(
            "file",
            &format!("{} · {} bytes · in the workspace", done.path, done.size),
        )?;
        Ok(())
    }

    /// Sends a message and shows its run to the end.
    pub(super) async fn send(&mut self, text: &str) -> Result<End, Error> {
        self.screen.message(text)?;
        let request = SendMessageRequest {
            session_id: self.session.clone(),
            client_message_id: EventId::generate(&SystemClock).to_string(),
            text: text.to_owned(),
            ..SendMessageRequest::default()
        };
        let mut following = Following::say(&mut self.client, request).await?;
        let mut proposed = HashMap::new();
        loop {
            let next = tokio::select! {
                next = following.next() => next,
                _ = self.interrupt.recv() => {
                    self.cancel(following.run()).await?;
                    continue;
                }
            };
            let event = match next {
                Ok(event) => event,
                Err(why) => {
                    self.reopen(&mut following, why).await?;
                    continue;
                }
            };
            self.screen.event(&event)?;
            match event.event {
                Some(Event::ToolCallProposed(call)) => {
                    proposed.insert(call.call_id, call.arguments);
                }
                Some(Event::ApprovalRequired(required)) => {
                    let shown = proposed.get(&required.call_id).map_or("", String::as_str);
                    self.answer(&required, shown, &mut following).await?;
                }
                Some(Event::RunFinished(finished)) => {
                    let reason = StopReason::try_from(finished.stop_reason).unwrap_or_default();
                    return Ok(End::Finished(reason));
                }
                Some(Event::RunFailed(_)) => return Ok(End::Failed),
                _ => {}
            }
        }
    }

    async fn reopen(
        &mut self,
        following: &mut Following,
        mut why: Option<tonic::Status>,
    ) -> Result<(), Error> {
        loop {
            let pause = following.pause(why, TRIES)?;
            let cursor = following.cursor();
            self.screen.detail(&format!(
                "the connection broke off; going on after event {cursor} …"
            ))?;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.interrupt.recv() => return Err(Error::Interrupted),
            }
            match following.reopen(&mut self.client).await {
                Ok(()) => return Ok(()),
                Err(status) => why = Some(status),
            }
        }
    }

    /// The person pressed Ctrl-C: the run is not to go on without them.
    async fn cancel(&mut self, run: &str) -> Result<(), Error> {
        if run.is_empty() {
            return Err(Error::Interrupted);
        }
        self.screen.detail("cancelling …")?;
        let run_id = run.to_owned();
        let cancelled = self.client.agent.cancel_run(CancelRunRequest { run_id });
        tokio::select! {
            cancelled = cancelled => cancelled.map(drop).map_err(Error::from),
            _ = self.interrupt.recv() => Err(Error::Interrupted),
        }
    }

    /// Sees to it that an approval is answered. `shown` is what stood on the screen as the call's arguments.
    async fn answer(
        &mut self,
        required: &ApprovalRequired,
        shown: &str,
        following: &mut Following,
    ) -> Result<(), Error> {
        // What will run is what hitl holds, not what the model's event said.
        let approval = self.client.approval(&required.approval_id).await?;
        if !same_json(&approval.arguments, shown) {
            self.screen.approval(&approval)?;
        }
        match self.answers {
            Answers::Unattended => {
                self.client
                    .decide(&approval.approval_id, Decision::Approved, true, "")
                    .await?;
            }
            Answers::Elsewhere => {
                let command = format!("approvals approve {}", approval.approval_id);
                let command = self.place.command(&command);
                self.screen.detail(&format!("answer with: {command}"))?;
            }
            Answers::Terminal => self.ask(&approval.approval_id, following).await?,
        }
        Ok(())
    }

    async fn ask(&mut self, approval_id: &str, following: &mut Following) -> Result<(), Error> {
        let Some(prompt) = &mut self.prompt else {
            return Ok(());
        };
        prompt.expect();
        self.screen.ask("run exactly this? [y/N]")?;
        // Somebody else may decide first, or time may: then the next event says so.
        let answer = tokio::select! {
            answer = prompt.answer() => answer,
            () = following.heard() => {
                prompt.dismiss();
                return Ok(());
            }
            _ = self.interrupt.recv() => {
                prompt.dismiss();
                return self.cancel(following.run()).await;
            }
        };
        let decision = match answer {
            Answer::Yes => Decision::Approved,
            Answer::No | Answer::End => Decision::Denied,
        };
        if answer != Answer::End {
            self.screen.answered();
        }
        match self.client.decide(approval_id, decision, false, "").await {
            // Somebody was faster, or the deadline was: the next event says so.
            Err(status) if is_settled(&status) => Ok(()),
            decided => Ok(decided?),
        }
    }
}

const UPLOAD_CHUNK: usize = 256 * 1024;
/// Tries in a row to go on with a stream that broke off, some fifteen seconds together.
const TRIES: u32 = 6;

//! A message and the run that it begins, followed to its end whatever happens to the connection.

use std::collections::HashMap;
use std::time::Duration;

use harombe_proto::agent::v1::{
    CancelRunRequest, CreateSessionRequest, DownloadFileRequest, SendMessageRequest,
};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{ApprovalRequired, RunEvent, StopReason, ToolCallProposed};
use harombe_types::{EventId, SessionId, SystemClock};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use tonic::{Code, Status};

use super::super::Error;
use super::super::following::Following;
use super::Chat;
use super::course::Course;
use super::pending::{Last, Pending};
use crate::terminal::{Call, Extent};

/// A call as it stands on the screen.
pub(super) struct Proposed {
    pub(super) call: Call,
    /// Whether all of it does.
    pub(super) is_whole: bool,
}

/// A run on its way.
pub(super) struct Talk {
    pub(super) course: Course,
    pub(super) proposed: HashMap<String, Proposed>,
    /// Approvals that nobody has decided, in their order.
    pub(super) pending: Vec<Pending>,
    pub(super) last: Last,
    pub(super) clock: Pulse,
    is_cancelled: bool,
    /// It is cancelled as soon as it is known which run it is.
    is_called_off: bool,
}

/// When to show that time passes.
pub(super) struct Pulse {
    since: Instant,
    ticks: Interval,
}

const TICK: Duration = Duration::from_millis(120);
/// Tries in a row to go on with a stream that broke off: some eight minutes.
const TRIES: u32 = 64;
/// Longest message that memory takes, in bytes.
const LONGEST: usize = 1024 * 1024;
/// A file that is larger is not compared with what it will become.
const LARGEST_FILE: usize = 256 * 1024;
/// How long the call waits for what the file has now.
const PATIENCE: Duration = Duration::from_secs(5);

impl Pulse {
    fn start() -> Self {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            since: Instant::now(),
            ticks,
        }
    }

    /// Waits for the next; answers the time since the first.
    async fn next(&mut self) -> Duration {
        self.ticks.tick().await;
        self.since.elapsed()
    }
}

impl Chat {
    /// Sends a message, in a session that is made for the first one, and shows what it sets off.
    pub(super) async fn say(&mut self, text: &str) -> Result<(), Error> {
        if text.len() > LONGEST {
            return Err(Error::Usage(format!(
                "the message has {} bytes and may have {LONGEST}; put it into a file and send that with `harombe run --file`",
                text.len()
            )));
        }
        let session = self.session_for_message().await?;
        let message = SendMessageRequest {
            session_id: session,
            client_message_id: EventId::generate(&SystemClock).to_string(),
            text: text.to_owned(),
            ..SendMessageRequest::default()
        };
        self.view.sent();
        self.console.hide()?;
        let (following, is_called_off) = self.hand_over(&message).await?;
        let following = match following {
            Err(status) if status.code() == Code::Unavailable && is_called_off => Err(not_known()),
            Err(status) if status.code() == Code::Unavailable => {
                let mut talk = Talk::of(Following::waiting(message));
                let done = match self.reconnect(&mut talk, Some(status)).await {
                    Ok(()) => self.follow(talk).await,
                    Err(error) => Err(error),
                };
                self.view.rests()?;
                return done;
            }
            following => following.map_err(Error::from),
        };
        let done = match following {
            Ok(following) => {
                let mut talk = Talk::of(following);
                talk.is_called_off = is_called_off;
                self.follow(talk).await
            }
            Err(error) => Err(error),
        };
        self.view.rests()?;
        done
    }

    /// Sends a message; what came of it, and whether the person called it off before that was known.
    async fn hand_over(
        &mut self,
        message: &SendMessageRequest,
    ) -> Result<(Result<Following, Status>, bool), Error> {
        let mut is_called_off = false;
        let sending = Following::say(&mut self.client, message.clone());
        tokio::pin!(sending);
        loop {
            tokio::select! {
                following = &mut sending => return Ok((following, is_called_off)),
                _ = self.interrupt.recv() => {
                    self.view.rests()?;
                    if std::mem::replace(&mut is_called_off, true) {
                        return Err(not_known());
                    }
                    self.view.aside(CALLING_OFF)?;
                }
            }
        }
    }

    /// Shows a run that goes on already.
    pub(super) async fn join(&mut self, run: &str) -> Result<(), Error> {
        self.view.sent();
        self.console.hide()?;
        let done = match Following::join(&mut self.client, run).await {
            Ok(following) => self.follow(Talk::of(following)).await,
            Err(status) => Err(status.into()),
        };
        self.view.rests()?;
        done
    }

    async fn session_for_message(&mut self) -> Result<String, Error> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        let request = CreateSessionRequest {
            session_id: SessionId::generate(&SystemClock).to_string(),
            agent: self.agent.clone(),
        };
        let created = self.client.agent.create_session(request).await?.into_inner();
        let session = created.session.unwrap_or_default().session_id;
        self.session = Some(session.clone());
        self.sessions.insert(0, session.clone());
        self.offer_completions();
        Ok(session)
    }

    async fn follow(&mut self, mut talk: Talk) -> Result<(), Error> {
        self.failed = true;
        loop {
            if talk.is_called_off && !talk.course.following.run().is_empty() {
                talk.is_called_off = false;
                self.cancel(&mut talk).await?;
            }
            // Calls are made side by side: while one waits for its answer, others go on.
            if let Some(at) = talk.to_be_asked() {
                self.answer(&mut talk, at).await?;
            }
            let next = tokio::select! {
                next = talk.course.next() => next,
                elapsed = talk.clock.next() => {
                    self.view.tick(elapsed)?;
                    continue;
                }
                _ = self.interrupt.recv() => {
                    self.cancel(&mut talk).await?;
                    continue;
                }
            };
            let event = match next {
                Ok(event) => event,
                Err(why) => {
                    self.reconnect(&mut talk, why).await?;
                    continue;
                }
            };
            let before = self.view.printed();
            self.view.event(&event)?;
            if let Some(Event::ApprovalRequired(required)) = &event.event
                && talk.last.is(&required.call_id, before)
            {
                // Why it has to be approved stands below the call itself.
                talk.last.is_printed(&required.call_id, self.view.printed());
            }
            if self.react(&mut talk, event).await? {
                return Ok(());
            }
        }
    }

    /// Does what an event asks for; answers whether the run has ended.
    async fn react(&mut self, talk: &mut Talk, event: RunEvent) -> Result<bool, Error> {
        match event.event {
            Some(Event::ToolCallProposed(call)) if !talk.proposed.contains_key(&call.call_id) => {
                self.propose(talk, call).await?;
            }
            Some(Event::ApprovalRequired(required)) => talk.want(required),
            Some(Event::ApprovalDecided(decided)) => {
                talk.pending
                    .retain(|known| known.required.approval_id != decided.approval_id);
            }
            Some(Event::ToolFinished(finished)) => {
                talk.pending
                    .retain(|known| known.required.call_id != finished.call_id);
            }
            Some(Event::RunFinished(finished)) => {
                self.failed = finished.stop_reason != StopReason::Answered as i32;
                return Ok(true);
            }
            Some(Event::RunFailed(_)) => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    async fn propose(&mut self, talk: &mut Talk, proposed: ToolCallProposed) -> Result<(), Error> {
        let mut call = Call {
            tool: proposed.tool,
            arguments: proposed.arguments,
            before: None,
        };
        if let Some((path, _)) = call.writes() {
            call.before = timeout(PATIENCE, self.file(path)).await.ok().flatten();
        }
        let is_whole = self.view.call(&call, Extent::Compact)?;
        talk.last.is_printed(&proposed.call_id, self.view.printed());
        talk.proposed
            .insert(proposed.call_id, Proposed { call, is_whole });
        Ok(())
    }

    /// What a file of the workspace has, when it is there and is text.
    async fn file(&mut self, path: String) -> Option<String> {
        let session_id = self.session.clone()?;
        let request = DownloadFileRequest { session_id, path };
        let mut stream = self.client.agent.download_file(request).await.ok()?.into_inner();
        let mut content = Vec::new();
        while let Some(part) = stream.message().await.ok()? {
            content.extend_from_slice(&part.data);
            if content.len() > LARGEST_FILE {
                return None;
            }
        }
        String::from_utf8(content).ok()
    }

    /// The person pressed Ctrl-C: the run is not to go on without them. The second time they do not wait for its end.
    pub(super) async fn cancel(&mut self, talk: &mut Talk) -> Result<(), Error> {
        self.view.rests()?;
        let run_id = talk.course.following.run().to_owned();
        if run_id.is_empty() && !std::mem::replace(&mut talk.is_called_off, true) {
            self.view.is_doing("calling it off");
            return Ok(self.view.aside(CALLING_OFF)?);
        }
        if std::mem::replace(&mut talk.is_cancelled, true) || run_id.is_empty() {
            return Err(Error::Interrupted);
        }
        self.view.aside("cancelling … · Ctrl-C again leaves")?;
        self.view.is_doing("cancelling");
        let cancelled = self.client.agent.cancel_run(CancelRunRequest { run_id });
        let cancelled = tokio::select! {
            cancelled = cancelled => cancelled,
            _ = self.interrupt.recv() => return Err(Error::Interrupted),
        };
        if let Err(status) = cancelled {
            talk.is_cancelled = false;
            self.view.warn(&Error::from(status).report())?;
        }
        Ok(())
    }

    /// Goes on after the connection broke off.
    async fn reconnect(&mut self, talk: &mut Talk, mut why: Option<Status>) -> Result<(), Error> {
        let mut is_told = false;
        loop {
            let pause = talk.course.following.pause(why, TRIES)?;
            if !std::mem::replace(&mut is_told, true) {
                self.view.warn(if talk.course.following.run().is_empty() {
                    "the server cannot be reached; the message is sent again, and counts once"
                } else {
                    "the connection broke off; the run goes on without it"
                })?;
            }
            self.view.is_doing("connecting again");
            self.wait(talk, pause).await?;
            match talk.course.following.reopen(&mut self.client).await {
                Ok(()) => break,
                Err(status) => why = Some(status),
            }
        }
        let cursor = talk.course.following.cursor();
        self.view
            .aside(&format!("connected again; going on after event {cursor}"))?;
        self.view.is_doing("going on");
        Ok(())
    }

    async fn wait(&mut self, talk: &mut Talk, pause: Duration) -> Result<(), Error> {
        let end = tokio::time::sleep(pause);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                elapsed = talk.clock.next() => self.view.tick(elapsed)?,
                _ = self.interrupt.recv() => {
                    if talk.course.following.run().is_empty() {
                        return Err(not_known());
                    }
                    let told = "not waiting any longer; the run goes on at the server, and /load takes it up again";
                    return Err(Error::Usage(told.to_owned()));
                }
            }
        }
    }
}

impl Talk {
    /// An approval is wanted. After a connection broke off it comes again.
    fn want(&mut self, required: ApprovalRequired) {
        let is_same = |known: &Pending| known.required.approval_id == required.approval_id;
        let is_announced = self
            .pending
            .iter()
            .any(|known| is_same(known) && known.is_announced);
        self.pending.retain(|known| !is_same(known));
        self.pending.push(Pending::of(required, is_announced));
    }

    /// The approval to be asked for now: none while there is something to be shown first.
    fn to_be_asked(&self) -> Option<usize> {
        if self.course.has_held() {
            return None;
        }
        self.pending.iter().position(Pending::is_due)
    }

    fn of(following: Following) -> Self {
        Self {
            course: Course::of(following),
            proposed: HashMap::new(),
            pending: Vec::new(),
            last: Last::default(),
            clock: Pulse::start(),
            is_cancelled: false,
            is_called_off: false,
        }
    }
}

const CALLING_OFF: &str =
    "calling it off as soon as the server says which run it is · Ctrl-C again does not wait";

/// The server may have taken a message that it has not confirmed.
fn not_known() -> Error {
    let told = "not waiting any longer; whether the server took the message is not known: /load takes its session up again, \
                with the run if there is one";
    Error::Usage(told.to_owned())
}

//! The loop: ask the model, do what it may have done, tell it what came of it, until it answers or must stop.
//! Every step is in the journal before the next begins, so that any node can go on from there.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1::{AppendRequest, FinishTurnRequest, JournalEntry, RunState};
use harombe_proto::types::v1 as events;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, StopReason};
use harombe_trail::{Outcome, Trail};
use harombe_types::{CallId, Clock, RunPrincipal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::agent::Agent;
use super::calls::{Calls, Finished};
use super::events::{Entry, Events, Stop};
use super::model::{Call, Message, ModelError, Request, Response, Usage};
use super::state::{OpenCall, Progress, State, from_timestamp};
use super::{budget, context, repetition};
use crate::audit;
use crate::live::LiveRun;
use crate::peers::{Peers, is_unreachable};

/// Longest response that is taken from a model, text and calls together, in bytes.
const MAX_RESPONSE: usize = 1 << 20;

/// Most calls that a model may propose at once.
const MAX_CALLS: usize = 32;

/// Bytes after which no further call's steps join a write.
const MAX_WRITE: usize = 1 << 20;

/// Steps of calls that wait to be journalled together.
const RECORDS: usize = 64;

/// What is said in a turn's place for a call that has no result.
const NO_RESULT: &str = "The run ended before this call was finished.";

/// A run that this node drives.
pub(crate) struct Run {
    /// Whose prompt, model, tools and limits.
    pub agent: Arc<Agent>,
    /// For whom.
    pub principal: RunPrincipal,
    /// By what right.
    pub token: String,
    /// Where listeners and cancellation meet it.
    pub live: Arc<LiveRun>,
    /// Of the lease.
    pub epoch: u64,
    /// Of the last entry in the journal.
    pub cursor: u64,
    /// Earlier turns and the person's message.
    pub opening: Vec<Message>,
    /// How far it has come.
    pub progress: Progress,
    /// Entries that go with the next write.
    pub pending: Vec<Entry>,
    /// The calls' shared part.
    pub calls: Arc<Calls>,
    /// The services.
    pub peers: Peers,
    /// The audit log.
    pub trail: Trail,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Run {
    /// Puts the run's beginning on record, then goes on until it has ended or another node must take it.
    pub(crate) async fn begin(mut self) {
        let (started, again) = tokio::join!(
            audit::run_started(&self.trail, &self.principal, &self.agent.model_name),
            self.history_again()
        );
        if let Some((opening, built)) = again {
            self.opening = opening;
            self.pending.push(Event::ContextBuilt(built).into());
        }
        match started {
            Ok(()) => self.drive().await,
            Err(failure) => {
                let ended = self.fail(failure.reason, failure.message).await;
                self.let_go(&ended);
            }
        }
    }

    /// Goes on until the run has ended or another node must take it.
    pub(crate) async fn drive(mut self) {
        let began = self.progress.began.unwrap_or_else(|| self.clock.now());
        let left = self.clock.now().until(began.plus(self.agent.limits.wall));
        let wall = Instant::now() + left;
        let stop = match self.turn(wall).await {
            Ok(never) => match never {},
            Err(stop) => stop,
        };
        let ended = match stop {
            Stop::Finish(reason) => self.finish(reason).await,
            stop => Err(stop),
        };
        let ended = match ended {
            Err(Stop::Fail { reason, message }) => self.fail(reason, message).await,
            ended => ended,
        };
        self.let_go(&ended);
    }

    fn let_go(&self, ended: &Result<(), Stop>) {
        if ended.is_err() {
            tracing::warn!(run = %self.principal.run, "this node lets the run go; another one will go on");
        }
    }

    /// The history was read before the turn was opened; this is it as the turn found it, if another turn of the session
    /// ended in between.
    async fn history_again(&self) -> Option<(Vec<Message>, events::ContextBuilt)> {
        let text = self.opening.last().and_then(|message| match message {
            Message::User(text) => Some(text),
            _ => None,
        })?;
        let budget = context::history_budget(&self.agent, text)?;
        let history = self.peers.memory.history(&self.token, budget).await.ok()?;
        let opening = context::messages(&history.turns, text);
        let built = context::built(&self.agent, &history, &opening);
        (opening != self.opening).then_some((opening, built))
    }

    async fn turn(&mut self, wall: Instant) -> Result<std::convert::Infallible, Stop> {
        loop {
            self.perform_calls(wall).await?;
            if let Some(reason) = budget::spent(&self.agent.limits, self.progress.steps, self.progress.usage)
            {
                return Err(Stop::Finish(reason));
            }
            let Response { text, calls, usage } = self.ask(wall).await?;
            let answered = calls.is_empty();
            let calls: Vec<_> = calls
                .into_iter()
                .map(|proposal| Call {
                    id: CallId::generate(self.clock.as_ref()),
                    provider_id: proposal.provider_id,
                    tool: proposal.tool,
                    arguments: proposal.arguments,
                })
                .collect();
            let entries = response_entries(&text, &calls, usage);
            self.progress.respond(text, calls, usage);
            if answered {
                self.pending.extend(entries);
                return Err(Stop::Finish(StopReason::Answered));
            }
            self.append(entries).await?;
        }
    }

    /// Asks the model, passing its words on as they come.
    async fn ask(&mut self, wall: Instant) -> Result<Response, Stop> {
        let messages: Vec<_> = self.opening.iter().chain(&self.progress.said).cloned().collect();
        let request = Request {
            system: &self.agent.prompt,
            tools: &self.agent.tools,
            messages: &messages,
        };
        let sent = AtomicU64::new(0);
        let delta = |text: &str| {
            let offset = sent.fetch_add(text.len() as u64, Ordering::Relaxed);
            let text = text.to_owned();
            self.live
                .passing(self.event(self.cursor, Event::TextDelta(events::TextDelta { offset, text })));
        };
        let asked = self.agent.model.respond(request, &delta);
        let response = self.unless_stopped(wall, asked).await?;
        let response = response.and_then(check_response);
        response.map_err(|ModelError::Invalid(detail)| {
            let message =
                format!("The model's response cannot be used: {detail}. Try again, or another model.");
            Stop::Fail {
                reason: Reason::ModelInvalid,
                message,
            }
        })
    }

    /// Waits for something that may be broken off at any moment.
    async fn unless_stopped<T>(&self, wall: Instant, future: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.live.cancel.cancelled() => Err(Stop::Finish(StopReason::Cancelled)),
            () = tokio::time::sleep_until(wall) => Err(Stop::Finish(StopReason::TimeLimit)),
            value = future => Ok(value),
        }
    }

    /// Performs the calls of the last response that have no result yet, all at once.
    async fn perform_calls(&mut self, wall: Instant) -> Result<(), Stop> {
        let repeated = repetition::repeated(&self.progress.said);
        if repeated > repetition::TOLERATED + 1 {
            let message = "The model keeps proposing the same calls and does not react to being told so. \
                           Rephrase the message, or use another model."
                .to_owned();
            return Err(Stop::Fail {
                reason: Reason::ModelInvalid,
                message,
            });
        }
        let open = std::mem::take(&mut self.progress.open);
        let (records, mut to_record) = mpsc::channel(RECORDS);
        let mut running: FuturesUnordered<_> = open
            .iter()
            .map(|open| {
                let journal = Journal {
                    records: records.clone(),
                    live: Arc::clone(&self.live),
                    clock: Arc::clone(&self.clock),
                    cursor: self.cursor,
                };
                perform(
                    Arc::clone(&self.calls),
                    open,
                    journal,
                    repeated > repetition::TOLERATED,
                )
            })
            .collect();
        drop(records);
        let live = Arc::clone(&self.live);
        loop {
            tokio::select! {
                biased;
                () = live.cancel.cancelled() => return Err(Stop::Finish(StopReason::Cancelled)),
                () = tokio::time::sleep_until(wall) => return Err(Stop::Finish(StopReason::TimeLimit)),
                Some(record) = to_record.recv() => self.write(record, &mut to_record).await?,
                done = running.next() => match done {
                    Some((call, text)) => self.progress.answer(call, text?),
                    None => break,
                },
            }
        }
        self.progress.close_answered_calls();
        Ok(())
    }

    /// Journals everything that calls have ready, with one write.
    async fn write(&mut self, first: Record, more: &mut mpsc::Receiver<Record>) -> Result<(), Stop> {
        let mut bytes = first.bytes();
        let mut records = vec![first];
        while bytes < MAX_WRITE
            && let Ok(record) = more.try_recv()
        {
            bytes += record.bytes();
            records.push(record);
        }
        let (entries, written): (Vec<_>, Vec<_>) = records
            .into_iter()
            .map(|record| (record.entries, record.written))
            .unzip();
        self.append(entries.into_iter().flatten().collect()).await?;
        for written in written {
            // the call may be gone
            let _ = written.send(());
        }
        Ok(())
    }

    async fn append(&mut self, entries: Vec<Entry>) -> Result<(), Stop> {
        let entries = self.numbered(entries);
        let told = told(&entries);
        let request = AppendRequest {
            epoch: self.epoch,
            entries,
            expected_cursor: self.cursor,
        };
        let written = self
            .insist(|| self.peers.memory.append(&self.token, request.clone()))
            .await?;
        self.cursor = written.cursor;
        self.live.journalled(told);
        if written.cancel_requested {
            self.live.cancel.cancel();
        }
        Ok(())
    }

    async fn finish(&mut self, reason: StopReason) -> Result<(), Stop> {
        self.progress.close_calls(NO_RESULT);
        let messages = context::stored(&self.progress.said);
        let usage = Some(on_the_wire(self.progress.usage));
        let event = Event::RunFinished(events::RunFinished {
            stop_reason: reason.into(),
            usage,
        });
        let state = match reason {
            StopReason::Cancelled => RunState::Cancelled,
            _ => RunState::Finished,
        };
        let ending = reason.as_str_name().trim_start_matches("STOP_REASON_");
        let outcome = if state == RunState::Cancelled {
            Outcome::Cancelled
        } else {
            Outcome::Ok
        };
        self.record_end(outcome, ending).await.map_err(|_| Stop::Leave)?;
        self.end(event, messages, state).await
    }

    async fn fail(&mut self, reason: Reason, message: String) -> Result<(), Stop> {
        // a run that failed because audit is away must be able to end while it is away: nothing was done
        if reason != Reason::AuditUnavailable {
            self.record_end(Outcome::Failed, reason.as_str())
                .await
                .map_err(|_| Stop::Leave)?;
        }
        let event = Event::RunFailed(events::RunFailed {
            reason: reason.as_str().to_owned(),
            message,
        });
        self.end(event, Vec::new(), RunState::Failed).await
    }

    async fn record_end(&self, outcome: Outcome, ending: &str) -> Result<(), Failure> {
        let facts = (ending, self.progress.steps, self.progress.usage);
        audit::run_finished(&self.trail, &self.principal, outcome, facts).await
    }

    async fn end(
        &mut self,
        event: Event,
        messages: Vec<harombe_proto::memory::v1::Message>,
        state: RunState,
    ) -> Result<(), Stop> {
        let entries = self.numbered(vec![event.into()]);
        let told = told(&entries);
        let request = FinishTurnRequest {
            epoch: self.epoch,
            messages,
            entries,
            state: state.into(),
        };
        self.cursor = self
            .insist(|| self.peers.memory.finish(&self.token, request.clone()))
            .await?;
        self.live.journalled(told);
        Ok(())
    }

    /// Tries a write until it succeeds or the lease is over.
    async fn insist<T, F>(&self, write: impl Fn() -> F) -> Result<T, Stop>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut pause = Duration::from_millis(50);
        loop {
            let failure = match write().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            if matches!(failure.code, Code::InvalidArgument | Code::ResourceExhausted) {
                let message = format!("A step of the run could not be stored: {failure}.");
                return Err(Stop::Fail {
                    reason: failure.reason,
                    message,
                });
            }
            if !is_unreachable(&failure) || self.clock.now() >= self.live.lease_expires() {
                let Failure { reason, .. } = failure;
                tracing::warn!(run = %self.principal.run, %reason, error = %failure, "the journal cannot be written");
                return Err(Stop::Leave);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// The entries that wait and these, with their places in the journal.
    fn numbered(&mut self, entries: Vec<Entry>) -> Vec<JournalEntry> {
        let pending = std::mem::take(&mut self.pending);
        let places = self.cursor + 1..;
        pending
            .into_iter()
            .chain(entries)
            .zip(places)
            .map(|(entry, cursor)| self.journalled(entry, cursor))
            .collect()
    }

    fn journalled(&self, entry: Entry, cursor: u64) -> JournalEntry {
        let event = entry.event.map(|event| self.event(cursor, event));
        let state = entry.state.map(|state| state.encode().into()).unwrap_or_default();
        JournalEntry { cursor, event, state }
    }

    fn event(&self, cursor: u64, event: Event) -> RunEvent {
        stamped(self.live.id, cursor, self.clock.as_ref(), event)
    }
}

/// An event with its run, place and time.
pub(crate) fn stamped(run: harombe_types::RunId, cursor: u64, clock: &dyn Clock, event: Event) -> RunEvent {
    let time = Some(from_timestamp(clock.now()));
    RunEvent {
        run_id: run.to_string(),
        cursor,
        time,
        event: Some(event),
    }
}

async fn perform(
    calls: Arc<Calls>,
    open: &OpenCall,
    journal: Journal,
    refused: bool,
) -> (CallId, Result<String, Stop>) {
    let result = if refused {
        let text = "The call was not made: you have proposed exactly this before and were told the result. \
                    Do something else, or answer.";
        calls
            .refuse(open, Finished::invalid(Reason::ModelInvalid, text), &journal)
            .await
    } else {
        calls.perform(open, &journal).await
    };
    (open.call.id, result)
}

/// Steps of one call that are to be journalled, and whom to tell when they are.
struct Record {
    entries: Vec<Entry>,
    written: oneshot::Sender<()>,
}

impl Record {
    fn bytes(&self) -> usize {
        self.entries
            .iter()
            .filter_map(|entry| entry.event.as_ref())
            .map(Event::encoded_len)
            .sum()
    }
}

/// What a call sees of its run's journal: the loop does the writing, for all calls together.
struct Journal {
    records: mpsc::Sender<Record>,
    live: Arc<LiveRun>,
    clock: Arc<dyn Clock>,
    /// Of the last entry when the call began; deltas carry it.
    cursor: u64,
}

#[async_trait]
impl Events for Journal {
    async fn record(&self, entries: Vec<Entry>) -> Result<(), Stop> {
        let (written, done) = oneshot::channel();
        // the loop goes away only together with this call
        self.records
            .send(Record { entries, written })
            .await
            .map_err(|_| Stop::Leave)?;
        done.await.map_err(|_| Stop::Leave)
    }

    fn pass(&self, event: Event) {
        self.live
            .passing(stamped(self.live.id, self.cursor, self.clock.as_ref(), event));
    }
}

fn told(entries: &[JournalEntry]) -> Vec<RunEvent> {
    entries.iter().filter_map(|entry| entry.event.clone()).collect()
}

fn on_the_wire(usage: Usage) -> events::Usage {
    events::Usage {
        input_tokens: usage.input,
        output_tokens: usage.output,
    }
}

/// The response's entries; the first one carries what a node that takes over needs.
fn response_entries(text: &str, calls: &[Call], usage: Usage) -> Vec<Entry> {
    let finished = Event::TextFinished(events::TextFinished {
        text: text.to_owned(),
    });
    let proposed = calls.iter().map(|call| {
        Event::ToolCallProposed(events::ToolCallProposed {
            call_id: call.id.to_string(),
            tool: call.tool.clone(),
            arguments: call.arguments.clone(),
        })
    });
    let mut entries: Vec<Entry> = (!text.is_empty())
        .then_some(finished)
        .into_iter()
        .chain(proposed)
        .chain([Event::Usage(on_the_wire(usage))])
        .map(Entry::from)
        .collect();
    if let Some(first) = entries.first_mut() {
        first.state = Some(State::response(text, calls, usage));
    }
    entries
}

fn check_response(response: Response) -> Result<Response, ModelError> {
    let written: usize = response
        .calls
        .iter()
        .map(|call| call.tool.len() + call.arguments.len())
        .sum();
    if response.text.len() + written > MAX_RESPONSE {
        return Err(ModelError::Invalid(format!(
            "it is longer than {MAX_RESPONSE} bytes"
        )));
    }
    if response.calls.len() > MAX_CALLS {
        return Err(ModelError::Invalid(format!(
            "it proposes more than {MAX_CALLS} calls"
        )));
    }
    if response.text.is_empty() && response.calls.is_empty() {
        return Err(ModelError::Invalid("it is empty".into()));
    }
    Ok(response)
}

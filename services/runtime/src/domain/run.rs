//! The loop: ask the model, do what it may have done, tell it what came of it, until it answers or must stop.
//! Every step is in the journal before the next begins, so that any node can go on from there.

mod ending;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use harombe_error::{Failure, Reason};
use harombe_proto::types::v1 as events;
use harombe_proto::types::v1::StopReason;
use harombe_proto::types::v1::run_event::Event;
use harombe_trail::Trail;
use harombe_types::{CallId, Clock, RunPrincipal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::ending::OVERTIME;
use super::agent::Agent;
use super::calls::{Calls, Finished};
use super::context::outside;
use super::events::{Entry, Stop};
use super::journal::{Steps, Writer, records};
use super::model::{Call, Message, Piece, Request, Response, Stopped, Unanswered, Usage};
use super::state::{OpenCall, Progress, State};
use super::{budget, repetition, response};
use crate::audit;
use crate::live::LiveRun;
use crate::metrics::Numbers;
use crate::room::Seat;

/// A run that this node drives.
pub(crate) struct Run {
    /// Whose prompt, model, tools and limits.
    pub agent: Arc<Agent>,
    /// For whom.
    pub principal: RunPrincipal,
    /// Where listeners and cancellation meet it.
    pub live: Arc<LiveRun>,
    /// Where its steps are written.
    pub journal: Writer,
    /// The agent's prompt, and what the client adds to it.
    pub system: String,
    /// Earlier turns, memories and the person's message.
    pub opening: Vec<Message>,
    /// Whether something of that, or of a turn before, may be anybody's words.
    pub outside: bool,
    /// How far it has come.
    pub progress: Progress,
    /// The calls' shared part.
    pub calls: Arc<Calls>,
    /// The audit log.
    pub trail: Trail,
    /// What this node does, in numbers.
    pub numbers: Arc<Numbers>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when this node is to begin no further step.
    pub leaving: CancellationToken,
    /// Its place on this node.
    pub seat: Seat,
}

/// Whether a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its end is in the journal, with an answer or where a limit cut it.
    Answered,
    /// Its end is in the journal.
    Closed,
    /// Another node must go on.
    LetGo,
}

impl Ended {
    fn of(closed: &Result<(), Stop>) -> Self {
        match closed {
            Ok(()) => Self::Closed,
            Err(_) => Self::LetGo,
        }
    }
}

impl Run {
    /// Goes on until the run has ended or another node must take it. What a run that waits for people has no need of is boxed
    /// here and below: there may be thousands of them.
    pub(crate) async fn drive(&mut self) -> Ended {
        let begins = self.progress.began.is_none();
        let began = self.progress.began.unwrap_or_else(|| self.clock.now());
        let left = |limit| Instant::now() + self.clock.now().until(began.plus(limit));
        let limit = self.agent.limits.wall;
        let (wall, until) = (left(limit), left(limit.saturating_add(OVERTIME)));
        let stop = match Box::pin(self.begin()).await {
            Ok(()) => match self.turn(wall).await {
                Ok(never) => match never {},
                Err(stop) => stop,
            },
            Err(Failure { reason, message, .. }) if begins => {
                let closed = Box::pin(self.not_begun(reason, message)).await;
                return Ended::of(&closed);
            }
            // another node may have its beginning on record, which must have an end
            Err(Failure { reason, message, .. }) => Stop::Fail { reason, message },
        };
        let ended = match stop {
            Stop::Finish(reason) => match Box::pin(self.finish(reason, until)).await {
                Ok(()) if reason != StopReason::Cancelled => return Ended::Answered,
                ended => ended,
            },
            stop => Err(stop),
        };
        let ended = match ended {
            Err(Stop::Fail { reason, message }) => Box::pin(self.fail(reason, message, until)).await,
            ended => ended,
        };
        Ended::of(&ended)
    }

    /// Whether its beginning is on record is not known before the first response.
    async fn begin(&self) -> Result<(), Failure> {
        if self.progress.steps > 0 {
            return Ok(());
        }
        audit::run_started(&self.trail, &self.principal, &self.agent.model_name).await
    }

    async fn turn(&mut self, wall: Instant) -> Result<std::convert::Infallible, Stop> {
        loop {
            self.may_go_on()?;
            self.perform_calls(wall).await?;
            self.may_go_on()?;
            if let Some(reason) = budget::spent(&self.agent.limits, self.progress.steps, self.progress.usage)
            {
                return Err(Stop::Finish(reason));
            }
            let Response {
                text,
                calls,
                usage,
                stopped,
            } = Box::pin(self.ask(wall)).await?;
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
            let entries = response_entries(&text, &calls, usage, self.outside);
            response::check_step(&entries)?;
            self.progress.respond(text, calls, usage);
            if answered {
                self.journal.add(entries);
                return Err(Stop::Finish(match stopped {
                    Stopped::Length => StopReason::TokenLimit,
                    Stopped::Whole | Stopped::Refused => StopReason::Answered,
                }));
            }
            Box::pin(self.journal.append(entries)).await?;
        }
    }

    /// Whether the model has been shown what may be anybody's words.
    fn saw_outside(&self) -> bool {
        self.outside || outside::seen(&self.progress.said)
    }

    /// A node that goes away begins no further step.
    fn may_go_on(&self) -> Result<(), Stop> {
        if self.leaving.is_cancelled() {
            return Err(Stop::Leave);
        }
        Ok(())
    }

    /// Asks the model, passing its words on as they come.
    async fn ask(&mut self, wall: Instant) -> Result<Response, Stop> {
        let messages: Vec<_> = self.opening.iter().chain(&self.progress.said).cloned().collect();
        let request = Request {
            system: &self.system,
            tools: &self.agent.tools,
            messages: &messages,
            token: &self.calls.token,
            ends: wall,
            tokens: self
                .agent
                .limits
                .tokens
                .saturating_sub(self.progress.usage.total()),
            most: None,
        };
        let sent = AtomicU64::new(0);
        let delta = |piece: Piece<'_>| match piece {
            Piece::Text(text) => {
                let offset = sent.fetch_add(text.len() as u64, Ordering::Relaxed);
                let text = text.to_owned();
                self.journal
                    .pass(Event::TextDelta(events::TextDelta { offset, text }));
            }
            Piece::Again => sent.store(0, Ordering::Relaxed),
        };
        let begun = Instant::now();
        let asked = self.agent.model.respond(request, &delta);
        let (answer, usage) = match self.unless_stopped(wall, asked).await {
            Ok(Ok(response)) => {
                let usage = response.usage;
                (response::check(&response).map(|()| response), usage)
            }
            Ok(Err(Unanswered { error, usage })) => (Err(response::unusable(error)), usage),
            Err(stop) => (Err(stop), Usage::default()),
        };
        let asked = response::asked(&answer, begun.elapsed(), usage);
        self.numbers.asked(&self.agent.model_name, asked);
        if answer.is_err() {
            self.progress.usage.add(usage);
        }
        answer
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
        self.calls.outside.store(self.saw_outside(), Ordering::Relaxed);
        let open = std::mem::take(&mut self.progress.open);
        let (steps, mut to_record) = records();
        let refused = repeated > repetition::TOLERATED;
        let mut running: FuturesUnordered<_> = open
            .iter()
            .map(|open| {
                let steps = self.journal.steps(steps.clone());
                perform(Arc::clone(&self.calls), open, steps, refused)
            })
            .collect();
        drop(steps);
        let live = Arc::clone(&self.live);
        let mut waiting = self.calls.waiting();
        loop {
            // nothing is left to do but to wait for people
            let idle = !running.is_empty() && *waiting.borrow_and_update() == running.len();
            if idle {
                self.seat.wait();
            } else {
                self.seat.go_on();
            }
            tokio::select! {
                biased;
                () = live.cancel.cancelled() => return Err(Stop::Finish(StopReason::Cancelled)),
                () = tokio::time::sleep_until(wall) => return Err(Stop::Finish(StopReason::TimeLimit)),
                () = self.leaving.cancelled(), if idle => return Err(Stop::Leave),
                Ok(()) = waiting.changed() => {}
                Some(record) = to_record.recv() => Box::pin(self.journal.write(record, &mut to_record)).await?,
                done = running.next() => match done {
                    Some((call, text)) => self.progress.answer(call, text?),
                    None => break,
                },
            }
        }
        self.progress.close_answered_calls();
        Ok(())
    }
}

async fn perform(
    calls: Arc<Calls>,
    open: &OpenCall,
    steps: Steps,
    refused: bool,
) -> (CallId, Result<String, Stop>) {
    let result = if refused {
        let text = "The call was not made: you have proposed exactly this before and were told the result. \
                    Do something else, or answer.";
        calls
            .refuse(open, Finished::invalid(Reason::ModelInvalid, text), &steps)
            .await
    } else {
        calls.perform(open, &steps).await
    };
    (open.call.id, result)
}

fn on_the_wire(usage: Usage) -> events::Usage {
    events::Usage {
        input_tokens: usage.input,
        output_tokens: usage.output,
    }
}

/// The response's entries; the first one carries what a node that takes over needs.
fn response_entries(text: &str, calls: &[Call], usage: Usage, outside: bool) -> Vec<Entry> {
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
        first.state = Some(State::response(text, calls, usage, outside));
    }
    entries
}

//! Runs that wait for a person, each with the stream of its message open: what they cost every process, whether they stay,
//! and whether others get through meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use harombe::attach::Client;
use harombe_proto::agent::v1::{SendMessageRequest, SendMessageResponse};
use harombe_proto::types::v1::Decision;
use harombe_proto::types::v1::run_event::Event;
use harombe_types::{EventId, SystemClock};
use tonic::Streaming;

use super::message::{begin, send};
use super::world::World;
use super::{Error, Result};
use crate::measure::{Report, micros, nanos, quantile};
use crate::usage::Usages;
use crate::{Plan, raw};

/// Asks for leave when told to wait, and else answers with one sentence.
const SCRIPT: &str = "repeat = true\n\
    [[turn]]\nwhen_user_contains = \"wait\"\ntext = \"I will run it.\"\n\
    [[turn.calls]]\ntool = \"code_execute\"\narguments = { language = \"python\", code = \"print(1)\" }\n\
    [[turn]]\nwhen_user_contains = \"wait\"\ntext = \"Then not.\"\n\
    [[turn]]\ntext = \"I am fine, thank you.\"\n";

/// Streams on one connection: the public door allows 1024.
const STREAMS: u32 = 500;

/// Messages that must get through while the others wait.
const MESSAGES: usize = 50;

pub(super) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::processes(plan, SCRIPT).await?;
    let fdatasync = raw::fdatasync_p50_us(world.path())?;
    let cluster = world.cluster()?;
    let mut other = world.client()?;
    let session = begin(&mut other).await?;
    if !send(&mut other, &session).await? {
        return Err("a message before the others does not get through".into());
    }
    let before = Usages::of(cluster)?;

    let began = Instant::now();
    let mut opened = open_all(&world, plan).await?;
    let opening = began.elapsed();
    let full = Usages::of(cluster)?;
    let waiting = Instant::now();
    tokio::time::sleep(plan.time).await;
    let after = Usages::of(cluster)?;
    let waited = waiting.elapsed();
    let ended = opened
        .waiting
        .iter_mut()
        .filter_map(|run| run.stream.message().now_or_never());
    let ended = ended.count();

    let mut through = messages(&mut other).await?;
    through.sort_unstable();
    let last = opened.waiting.pop().ok_or("no run waits")?;
    let decided = last.deny(&mut other).await?;
    let waited_for = opened.waiting.len() + 1 - ended;
    let report = Report::of(std::mem::take(&mut opened.latencies), opening)
        .with("open_errors", opened.errors)
        .with("first_error", std::mem::take(&mut opened.first_error))
        .with("opened_in_s", opening.as_secs_f64().round())
        .with("still_waiting", waited_for)
        .with("message_p50_us", micros(quantile(&through, 0.5)))
        .with("messages_through", through.len())
        .with("denied_and_finished_us", micros(nanos(decided)))
        .with("pss_mib_before", before.pss())
        .with("pss_mib_opened", full.pss())
        .with("pss_mib_after", after.pss())
        .with("idle_cpu_percent", after.cpu(&full, waited))
        .with("fdatasync_p50_us", fdatasync);
    drop(opened);
    world.close().await;
    Ok(report)
}

/// Messages of another session while the runs wait, in nanoseconds.
async fn messages(client: &mut Client) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    for _ in 0..MESSAGES {
        // Each in a session of its own, as a longer history costs more.
        let session = begin(client).await?;
        let began = Instant::now();
        if !send(client, &session).await? {
            return Err("a message does not get through while runs wait".into());
        }
        took.push(nanos(began.elapsed()));
    }
    Ok(took)
}

#[derive(Default)]
struct Opened {
    waiting: Vec<Run>,
    latencies: Vec<u64>,
    errors: u32,
    /// What the first of the errors was; empty when there was none.
    first_error: String,
}

async fn open_all(world: &World, plan: &Plan) -> Result<Opened> {
    let connections = plan.runs.div_ceil(STREAMS);
    let clients = (0..connections).map(|_| world.client());
    let clients = Arc::new(clients.collect::<Result<Vec<_>>>()?);
    let (next, most) = (Arc::new(AtomicU32::new(0)), plan.runs);
    let mut callers = Vec::new();
    for _ in 0..plan.concurrency {
        let (clients, next) = (Arc::clone(&clients), Arc::clone(&next));
        callers.push(tokio::spawn(async move {
            let mut opened = Opened::default();
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                let client = clients.get((nth / STREAMS) as usize).filter(|_| nth < most);
                let Some(client) = client else {
                    return opened;
                };
                opened.add(Run::open(client.clone()).await);
            }
        }));
    }
    let mut all = Opened::default();
    for caller in callers {
        all.join(caller.await?);
    }
    Ok(all)
}

impl Opened {
    fn add(&mut self, outcome: Result<(Run, Duration)>) {
        match outcome {
            Ok((run, took)) => {
                self.waiting.push(run);
                self.latencies.push(nanos(took));
            }
            Err(error) => self.fail(1, error.to_string()),
        }
    }

    fn join(&mut self, other: Self) {
        self.waiting.extend(other.waiting);
        self.latencies.extend(other.latencies);
        self.fail(other.errors, other.first_error);
    }

    fn fail(&mut self, errors: u32, first: String) {
        self.errors += errors;
        if self.first_error.is_empty() {
            self.first_error = first;
        }
    }
}

/// One that waits.
struct Run {
    approval: String,
    stream: Streaming<SendMessageResponse>,
}

impl Run {
    /// Until it asks, with how long that took.
    async fn open(mut client: Client) -> Result<(Self, Duration)> {
        let session_id = begin(&mut client).await?;
        let request = SendMessageRequest {
            session_id,
            client_message_id: EventId::generate(&SystemClock).to_string(),
            text: "Run it, and wait for me.".to_owned(),
            ..SendMessageRequest::default()
        };
        let began = Instant::now();
        let mut stream = client.agent.send_message(request).await?.into_inner();
        while let Some(response) = stream.message().await? {
            match response.event.and_then(|event| event.event) {
                Some(Event::ApprovalRequired(required)) => {
                    let approval = required.approval_id;
                    return Ok((Self { approval, stream }, began.elapsed()));
                }
                Some(Event::RunFailed(failed)) => return Err(failed.reason.into()),
                _ => {}
            }
        }
        Err(Error::from("the run ended without asking"))
    }

    /// Says no, and waits for the run's end.
    async fn deny(mut self, client: &mut Client) -> Result<Duration> {
        let began = Instant::now();
        client.decide(&self.approval, Decision::Denied, true, "").await?;
        while let Some(response) = self.stream.message().await? {
            if let Some(Event::RunFinished(_)) = response.event.and_then(|event| event.event) {
                return Ok(began.elapsed());
            }
        }
        Err("the run that was denied does not finish".into())
    }
}

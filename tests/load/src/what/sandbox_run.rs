//! Python's `print(1)` in a fresh sandbox through the public door, approval and records included; in turn with a bare
//! `runsc run` that does the same and nothing else.

use std::time::{Duration, Instant};

use harombe::attach::Client;
use harombe_proto::agent::v1::{CallToolRequest, CreateSessionRequest};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Decision, ToolOutcome};
use harombe_sandbox_broker::{Config, find_runsc};
use serde_json::json;

use super::Result;
use super::bare::Bare;
use crate::measure::{Report, micros, nanos, quantile};
use crate::what::world::World;
use crate::{Plan, raw};

pub(super) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::open(plan).await?;
    let fdatasync = raw::fdatasync_p50_us(world.path())?;
    let mut client = world.client()?;
    let created = client
        .agent
        .create_session(CreateSessionRequest::default())
        .await?
        .into_inner();
    let session = created.session.unwrap_or_default().session_id;
    let bare = Bare::new(find_runsc(&Config::default())?.path())?;

    let mut pair = Pair::default();
    let warm = Instant::now();
    loop {
        pair.once(&mut client, &session, &bare).await?;
        if warm.elapsed() >= plan.warmup {
            break;
        }
    }
    pair = Pair::default();
    let began = Instant::now();
    while began.elapsed() < plan.time {
        pair.once(&mut client, &session, &bare).await?;
    }
    world.close().await;
    Ok(pair.report().with("fdatasync_p50_us", fdatasync))
}

/// Both ways, one after the other, so that both see the same machine.
#[derive(Default)]
struct Pair {
    ours: Vec<u64>,
    /// From the approval to the first byte of output and to the end.
    cold: Vec<u64>,
    bare: Vec<u64>,
}

impl Pair {
    async fn once(&mut self, client: &mut Client, session: &str, bare: &Bare) -> Result<()> {
        let began = Instant::now();
        let executed = execute(client, session).await?;
        self.ours.push(nanos(began.elapsed()));
        self.cold.push(nanos(executed));
        self.bare.push(nanos(bare.run().await?));
        Ok(())
    }

    fn report(mut self) -> Report {
        self.cold.sort_unstable();
        self.bare.sort_unstable();
        let (cold, bare) = (quantile(&self.cold, 0.5), quantile(&self.bare, 0.5));
        let ratio = cold as f64 / bare.max(1) as f64;
        let spent: u64 = self.ours.iter().sum();
        Report::of(self.ours, Duration::from_nanos(spent))
            .with("cold_start_p50_us", micros(cold))
            .with("bare_runsc_p50_us", micros(bare))
            .with("ratio_to_bare", (ratio * 1000.0).round() / 1000.0)
    }
}

/// One call; returns how long it took from its start, grant redeemed and recorded, to its end.
async fn execute(client: &mut Client, session: &str) -> Result<Duration> {
    let request = CallToolRequest {
        session_id: session.to_owned(),
        tool: "code_execute".to_owned(),
        arguments: json!({ "language": "python", "code": "print(1)" }).to_string(),
    };
    let mut stream = client.agent.call_tool(request).await?.into_inner();
    let mut decided = Instant::now();
    while let Some(response) = stream.message().await? {
        match response.event.and_then(|event| event.event) {
            Some(Event::ApprovalRequired(required)) => {
                client
                    .decide(&required.approval_id, Decision::Approved, true, "")
                    .await?;
                decided = Instant::now();
            }
            Some(Event::ToolFinished(finished)) if finished.outcome == ToolOutcome::Ok as i32 => {
                return Ok(decided.elapsed());
            }
            Some(Event::ToolFinished(finished)) => {
                return Err(format!("{}: {}", finished.reason, finished.result).into());
            }
            _ => {}
        }
    }
    Err("the answer ended too early".into())
}

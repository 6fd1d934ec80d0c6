//! Messages without tools through the public door, each to the end of its run. A session is given up after a few turns:
//! what a longer history costs is another question.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use harombe::attach::Client;
use harombe_proto::agent::v1::{CreateSessionRequest, SendMessageRequest};
use harombe_proto::types::v1::run_event::Event;
use harombe_types::{EventId, SystemClock};

use super::{Place, Result};
use crate::measure::{self, Report, Round};
use crate::what::world::World;
use crate::{Plan, raw};

/// Messages in one session.
const TURNS: usize = 10;

pub(super) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::open(plan).await?;
    let fdatasync = raw::fdatasync_p50_us(world.path())?;
    // Each caller has a connection of its own, as clients have.
    let clients = (0..plan.concurrency).map(|_| world.client());
    let clients = Arc::new(clients.collect::<Result<Vec<_>>>()?);
    let next = Arc::new(AtomicUsize::new(0));
    let report = measure::run(plan, move || {
        let nth = next.fetch_add(1, Ordering::Relaxed) % clients.len();
        let client = clients.get(nth).cloned();
        async move {
            match client {
                Some(client) => turns(client).await,
                None => Round::default(),
            }
        }
    })
    .await;
    let place = match &plan.place {
        Place::Embedded => "embedded",
        Place::Processes => "processes",
        Place::Data(_) | Place::Door(_) => "running",
    };
    world.close().await;
    Ok(report.with("place", place).with("fdatasync_p50_us", fdatasync))
}

/// A new session and its first turns; only the messages are timed.
async fn turns(mut client: Client) -> Round {
    let mut round = Round::default();
    let session = begin(&mut client).await;
    for _ in 0..TURNS {
        let began = Instant::now();
        let answered = match &session {
            Ok(session) => send(&mut client, session).await.unwrap_or(false),
            Err(_) => false,
        };
        round.add(answered.then(|| began.elapsed()));
    }
    round
}

/// A new session.
pub(super) async fn begin(client: &mut Client) -> Result<String> {
    let created = client
        .agent
        .create_session(CreateSessionRequest::default())
        .await?;
    Ok(created.into_inner().session.unwrap_or_default().session_id)
}

/// Whether the run of a message comes to its end.
pub(super) async fn send(client: &mut Client, session_id: &str) -> Result<bool> {
    say(client, session_id, "How are you today?".to_owned()).await
}

/// Whether the run of a message with that text comes to its end.
pub(super) async fn say(client: &mut Client, session_id: &str, text: String) -> Result<bool> {
    let request = SendMessageRequest {
        session_id: session_id.to_owned(),
        client_message_id: EventId::generate(&SystemClock).to_string(),
        text,
        ..SendMessageRequest::default()
    };
    let mut stream = client.agent.send_message(request).await?.into_inner();
    while let Some(response) = stream.message().await? {
        match response.event.and_then(|event| event.event) {
            Some(Event::RunFinished(_)) => return Ok(true),
            Some(Event::RunFailed(_)) => return Ok(false),
            _ => {}
        }
    }
    Ok(false)
}

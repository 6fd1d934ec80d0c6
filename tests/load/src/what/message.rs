//! Messages without tools through the public door, each to the end of its run. A session is given up after a few turns:
//! what a longer history costs is another question. With `--memories` each is a question to what the caller was given to
//! remember before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

use harombe::attach::Client;
use harombe_proto::agent::v1::{CreateSessionRequest, SendMessageRequest};
use harombe_proto::types::v1::ContextBuilt;
use harombe_proto::types::v1::run_event::Event;
use harombe_types::{EventId, SystemClock};

use super::memory::own::{self, Recalled};
use super::{Place, Result};
use crate::measure::{self, Report, Round};
use crate::usage::Usages;
use crate::what::world::World;
use crate::{Plan, raw};

/// Messages in one session.
const TURNS: usize = 10;
/// A message about nothing in particular.
const PLAIN: &str = "How are you today?";

/// What messages say, and what was recalled for them.
#[derive(Default)]
struct Messages {
    asked: AtomicU32,
    /// Absent where nobody asks for it.
    recalled: Option<Recalled>,
}

pub(super) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::open(plan).await?;
    let fdatasync = raw::fdatasync_p50_us(world.path())?;
    let mut own = world.client()?;
    let given = match plan.memories {
        Some(count) => Some(own::give(&mut own, count, plan.model.is_some()).await?),
        None => None,
    };
    let messages = Arc::new(Messages {
        recalled: given.as_ref().map(|_| Recalled::default()),
        ..Messages::default()
    });
    let mut report = play(plan, &world, &messages).await?;
    if let (Some(given), Some(recalled)) = (&given, &messages.recalled) {
        report = report.with("recall", recalled.said(given, &own::stats(&mut own).await?));
        if let Ok(cluster) = world.cluster() {
            report = report.with("pss_mib", Usages::of(cluster)?.pss());
        }
    }
    let place = match &plan.place {
        Place::Embedded => "embedded",
        Place::Processes => "processes",
        Place::Data(_) | Place::Door(_) => "running",
    };
    world.close().await;
    Ok(report.with("place", place).with("fdatasync_p50_us", fdatasync))
}

/// Each caller has a connection of its own, as clients have.
async fn play(plan: &Plan, world: &World, messages: &Arc<Messages>) -> Result<Report> {
    let clients = (0..plan.concurrency).map(|_| world.client());
    let clients = Arc::new(clients.collect::<Result<Vec<_>>>()?);
    let next = Arc::new(AtomicUsize::new(0));
    let messages = Arc::clone(messages);
    let report = measure::run(plan, move || {
        let nth = next.fetch_add(1, Ordering::Relaxed) % clients.len();
        let (client, messages) = (clients.get(nth).cloned(), Arc::clone(&messages));
        async move {
            match client {
                Some(client) => turns(client, &messages).await,
                None => Round::default(),
            }
        }
    });
    Ok(report.await)
}

/// A new session and its first turns; only the messages are timed.
async fn turns(mut client: Client, messages: &Messages) -> Round {
    let mut round = Round::default();
    let session = begin(&mut client).await;
    for _ in 0..TURNS {
        let text = messages.next();
        let began = Instant::now();
        let built = match &session {
            Ok(session) => answered(&mut client, session, text).await.unwrap_or_default(),
            Err(_) => None,
        };
        round.add(built.is_some().then(|| began.elapsed()));
        if let (Some(recalled), Some(built)) = (&messages.recalled, &built) {
            recalled.count(built);
        }
    }
    round
}

impl Messages {
    fn next(&self) -> String {
        match self.recalled {
            Some(_) => own::question(self.asked.fetch_add(1, Ordering::Relaxed)),
            None => PLAIN.to_owned(),
        }
    }
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
    say(client, session_id, PLAIN.to_owned()).await
}

/// Whether the run of a message with that text comes to its end.
pub(super) async fn say(client: &mut Client, session_id: &str, text: String) -> Result<bool> {
    Ok(answered(client, session_id, text).await?.is_some())
}

/// What the model was shown with a message, if its run comes to its end.
async fn answered(client: &mut Client, session_id: &str, text: String) -> Result<Option<ContextBuilt>> {
    let request = SendMessageRequest {
        session_id: session_id.to_owned(),
        client_message_id: EventId::generate(&SystemClock).to_string(),
        text,
        ..SendMessageRequest::default()
    };
    let mut built = ContextBuilt::default();
    let mut stream = client.agent.send_message(request).await?.into_inner();
    while let Some(response) = stream.message().await? {
        match response.event.and_then(|event| event.event) {
            Some(Event::ContextBuilt(told)) => built = told,
            Some(Event::RunFinished(_)) => return Ok(Some(built)),
            Some(Event::RunFailed(_)) => return Ok(None),
            _ => {}
        }
    }
    Ok(None)
}

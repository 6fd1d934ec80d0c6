//! Messages without tools through the public door, each to the end of its run.

use harombe::attach::Client;
use harombe_proto::agent::v1::{CreateSessionRequest, SendMessageRequest};
use harombe_proto::types::v1::run_event::Event;
use harombe_types::{EventId, SystemClock};

use super::Result;
use crate::measure::{self, Report};
use crate::what::world::World;
use crate::{Plan, raw};

pub(super) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::open(plan.target.as_deref()).await?;
    let fdatasync = raw::fdatasync_p50_us(world.path())?;
    let mut sessions = Vec::new();
    for _ in 0..plan.concurrency {
        let created = world
            .client()?
            .agent
            .create_session(CreateSessionRequest::default())
            .await?;
        sessions.push(created.into_inner().session.unwrap_or_default().session_id);
    }
    let client = world.client()?;
    let report = measure::run(plan, move |caller| {
        let session = sessions.get(caller as usize).cloned().unwrap_or_default();
        let client = client.clone();
        async move { send(client, session).await.unwrap_or(false) }
    })
    .await;
    world.close().await;
    Ok(report.with("fdatasync_p50_us", fdatasync))
}

async fn send(mut client: Client, session_id: String) -> Result<bool> {
    let request = SendMessageRequest {
        session_id,
        client_message_id: EventId::generate(&SystemClock).to_string(),
        text: "How are you today?".to_owned(),
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

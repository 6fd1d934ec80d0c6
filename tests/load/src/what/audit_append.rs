//! Appends through the in-process channel, as any service makes them; the log is verified afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use harombe_audit::files::Source;
use harombe_audit::verify::{Known, verify_with};
use harombe_proto::audit::v1::audit_service_client::AuditServiceClient;
use harombe_proto::audit::v1::{AppendRequest, Event};
use harombe_rpc::GrpcChannel;
use harombe_types::{Clock as _, EventId, InstanceId, RunId, ServiceName, SystemClock};

use super::Result;
use crate::measure::{self, Report};
use crate::what::world::World;
use crate::{Plan, raw};

pub(super) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::embedded(plan).await?;
    let channel = world.channel(ServiceName::Audit, ServiceName::Runtime)?;
    let fdatasync = raw::fdatasync_p50_us(world.path())?;
    let writer = Arc::new(Writer {
        client: AuditServiceClient::new(channel),
        instance: InstanceId::generate(&SystemClock).to_string(),
        run: RunId::generate(&SystemClock).to_string(),
        sequence: AtomicU64::new(0),
    });
    let report = measure::run(plan, move || {
        let writer = Arc::clone(&writer);
        async move { measure::timed(writer.append()).await }
    })
    .await;
    let log = world.path().join("audit");
    let dir = world.close().await;
    let source = match &plan.postgres {
        Some(config) => Source::Postgres {
            config,
            wrapping_key: None,
        },
        None => Source::Directory(&log),
    };
    let verified = verify_with(source, Known::default()).await?;
    drop(dir);
    Ok(report
        .with("fdatasync_p50_us", fdatasync)
        .with("entries_verified", verified.entries))
}

struct Writer {
    client: AuditServiceClient<GrpcChannel>,
    instance: String,
    run: String,
    sequence: AtomicU64,
}

impl Writer {
    async fn append(&self) -> bool {
        let clock = SystemClock;
        let now = clock.now();
        let event = Event {
            event_id: EventId::generate(&clock).to_string(),
            kind: "run.started".to_owned(),
            tenant: "local".to_owned(),
            principal: "run".to_owned(),
            subject: "load".to_owned(),
            agent: "default".to_owned(),
            run_id: self.run.clone(),
            time: Some(now.into()),
            outcome: "ok".to_owned(),
            instance: self.instance.clone(),
            instance_seq: self.sequence.fetch_add(1, Ordering::Relaxed) + 1,
            details: r#"{"model":"scripted","message_bytes":120}"#.to_owned(),
            ..Event::default()
        };
        self.client
            .clone()
            .append(AppendRequest { event: Some(event) })
            .await
            .is_ok()
    }
}

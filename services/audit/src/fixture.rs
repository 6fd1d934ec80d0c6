//! Events and logs for tests.

use std::path::Path;

use harombe_types::{
    CallId, Clock as _, EventId, InstanceId, RunId, ServiceName, SessionId, SystemClock, Timestamp,
};

use crate::domain::{Event, Limits};
use crate::log::Log;
use crate::metrics::Numbers;
use crate::store::Place;

pub(crate) const LIMITS: Limits = Limits { details: 4096 };

/// Counted, and shown to nobody.
pub(crate) fn numbers() -> Numbers {
    Numbers::new(&harombe_rpc::Metrics::new())
}

pub(crate) async fn open(directory: &Path) -> Log {
    let place = Place::new(directory.to_owned(), harombe_sql::StoreConfig::default());
    Log::open(place, harombe_sql::Limits::default(), LIMITS, &numbers())
        .await
        .unwrap()
}

/// Makes events that look like one process of a service wrote them.
pub(crate) struct Writer {
    pub(crate) service: ServiceName,
    instance: InstanceId,
    count: u64,
}

impl Writer {
    pub(crate) fn new(service: ServiceName) -> Self {
        Self {
            service,
            instance: InstanceId::generate(&SystemClock),
            count: 0,
        }
    }

    pub(crate) fn event(&mut self, tenant: &str, kind: &str) -> Event {
        self.count += 1;
        Event {
            id: EventId::generate(&SystemClock),
            service: self.service,
            kind: kind.to_owned(),
            tenant: tenant.parse().unwrap(),
            principal: "person:ann".to_owned(),
            subject: Some("ann".parse().unwrap()),
            agent: Some("default".parse().unwrap()),
            run: Some(RunId::generate(&SystemClock)),
            session: Some(SessionId::generate(&SystemClock)),
            call: Some(CallId::generate(&SystemClock)),
            approval: None,
            time: SystemClock.now(),
            outcome: "ok".to_owned(),
            policy_version: "1".to_owned(),
            instance: self.instance,
            instance_seq: self.count,
            details: format!(r#"{{"count":{}}}"#, self.count),
        }
    }

    pub(crate) fn events(&mut self, tenant: &str, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.event(tenant, "exec.started")).collect()
    }
}

/// A log of `groups` commits, each over that many entries, closed again.
pub(crate) async fn written(directory: &Path, groups: &[usize]) {
    let log = open(directory).await;
    let mut writer = Writer::new(ServiceName::SandboxBroker);
    for (at, count) in groups.iter().enumerate() {
        let tenant = if at % 3 == 2 { "beta" } else { "alpha" };
        log.append(writer.service, writer.events(tenant, *count))
            .await
            .unwrap();
    }
    log.close().await;
}

pub(crate) const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

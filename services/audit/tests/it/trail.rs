//! How a service's trail gets on with a log that refuses an event for good: nothing behind it waits, no number is lost.

use std::sync::Arc;
use std::time::Duration;

use harombe_error::Code;
use harombe_rpc::{GrpcChannel, TaskSet};
use harombe_testkit::tenant;
use harombe_trail::{Error, Event, Kind, Trail};
use harombe_types::{EventId, ServiceName, SystemClock};
use serde_json::json;
use tempfile::TempDir;

use crate::{Bench, QueryRequest, event, of};

const AS: ServiceName = ServiceName::SandboxBroker;

fn good() -> Event {
    Event::new(Kind::ExecStarted, &tenant("local"))
}

/// The code with which audit refused, if it was audit that did.
fn refusal(result: Result<(), Error>) -> Option<Code> {
    match result {
        Err(Error::Rejected(failure)) => Some(failure.code),
        _ => None,
    }
}

#[tokio::test]
async fn an_event_that_audit_never_takes_blocks_none_behind_it() {
    let directory = TempDir::new().unwrap();
    let bench = Bench::under(directory.path()).await;
    let theirs = event("local");
    let taken: EventId = theirs.event_id.parse().unwrap();
    bench.append(ServiceName::Hitl, theirs).await.unwrap();

    let tasks = TaskSet::new();
    let audit = GrpcChannel::local(bench.service.server(), AS);
    let trail = Trail::start(audit, AS, "local".parse().unwrap(), Arc::new(SystemClock), &tasks);
    // More than audit takes, but not more than a trail sends.
    let large = good().details(json!({ "text": "x".repeat(300 * 1024) }));
    let (first, large, second, twin, last) = tokio::join!(
        trail.record(good()),
        trail.record(large),
        trail.record(good()),
        trail.record(good().id(taken)),
        trail.record(good()),
    );
    for recorded in [first, second, last] {
        recorded.unwrap();
    }
    assert_eq!(refusal(large), Some(Code::ResourceExhausted));
    assert_eq!(refusal(twin), Some(Code::AlreadyExists));
    trail.record(good()).await.unwrap();
    assert_eq!(tasks.shutdown(Duration::from_secs(5)).await, 0);

    let query = QueryRequest {
        service: AS.to_string(),
        limit: 100,
        ..QueryRequest::default()
    };
    let (entries, _) = bench.query(&of("local"), query).await.unwrap();
    let number =
        |leaf: &[u8]| serde_json::from_slice::<serde_json::Value>(leaf).unwrap()["instance_seq"].as_u64();
    let numbers: Vec<_> = entries.iter().filter_map(|entry| number(&entry.leaf)).collect();
    assert_eq!(numbers, [1, 2, 3, 4], "the numbers of the refused are used again");
}

//! One trace from service to service, and on the lines of the log.

use std::io::Write;
use std::sync::Arc;

use harombe_proto::hitl::v1::{ListRequest, WatchRequest};
use harombe_rpc::{RequestExt as _, TraceContext};
use parking_lot::Mutex;
use tokio_stream::StreamExt as _;
use tonic::Request;

use crate::on_both_paths;
use crate::stranger::{Port, say};
use crate::toy::Act;
use crate::world::World;

fn ids(trace: TraceContext) -> (String, String) {
    (trace.trace_id().to_string(), trace.span_id().to_string())
}

on_both_paths! {
    async fn a_call_is_another_span_of_its_callers_trace(world: World) {
        let caller = TraceContext::start();
        let request = Request::new(ListRequest::default()).with_token(world.approver());
        let mut client = world.approvals();
        caller.scope(client.list(request)).await.unwrap();
        let seen = world.toy.seen.traces.lock().clone();
        let [Some(callee)] = seen[..] else { panic!("{seen:?}") };
        assert_eq!(ids(callee).0, ids(caller).0);
        assert_ne!(ids(callee).1, ids(caller).1);
    }

    async fn a_call_from_nowhere_begins_a_trace(world: World) {
        let mut client = world.approvals();
        for _ in 0..2 {
            let request = Request::new(ListRequest::default()).with_token(world.approver());
            client.list(request).await.unwrap();
        }
        let seen = world.toy.seen.traces.lock().clone();
        let [Some(one), Some(two)] = seen[..] else { panic!("{seen:?}") };
        assert_ne!(ids(one).0, ids(two).0);
    }

    async fn every_try_of_a_call_is_of_the_same_trace(world: World) {
        let caller = TraceContext::start();
        let mut failure = harombe_error::Failure::new(
            harombe_error::Code::Unavailable,
            harombe_error::Reason::Unavailable,
            "told to",
        );
        failure.retry_after = Some(std::time::Duration::from_millis(1));
        world.toy.then(Act::Fail(failure));
        let request = Request::new(harombe_proto::hitl::v1::DecideRequest::default()).with_token(world.approver());
        let mut client = world.approvals();
        caller.scope(client.decide(request)).await.unwrap();
        let seen: Vec<_> = world.toy.seen.traces.lock().iter().flatten().map(|seen| ids(*seen).0).collect();
        assert_eq!(seen, [ids(caller).0, ids(caller).0]);
    }

    async fn a_stream_stays_in_its_trace_to_the_last_frame(world: World) {
        let caller = TraceContext::start();
        let request = Request::new(WatchRequest {}).with_token(world.approver());
        let mut client = world.approvals();
        let frames = caller.scope(client.watch(request)).await.unwrap().into_inner();
        assert_eq!(frames.collect::<Vec<_>>().await.len(), 3);
        let seen: Vec<_> = world.toy.seen.traces.lock().iter().flatten().map(|seen| ids(*seen).0).collect();
        assert_eq!(seen, [ids(caller).0, ids(caller).0, ids(caller).0]);
    }
}

#[tokio::test]
async fn a_strangers_trace_is_noted_and_not_joined() {
    let (lines, _logging) = logged();
    let port = Port::open(harombe_rpc::PublicLimits::default(), None).await;
    let caller = TraceContext::start();
    // Twice, as below.
    for _ in 0..2 {
        tracing::callsite::rebuild_interest_cache();
        lines.0.lock().clear();
        port.toy.then(Act::Panic);
        caller.scope(port.call()).await.unwrap_err();
    }
    let seen = port.toy.seen.traces.lock().clone();
    assert!(!seen.is_empty());
    for seen in seen {
        assert_ne!(ids(seen.unwrap()).0, ids(caller).0);
    }
    let line = lines.line("internal error");
    let trace = &line["span"]["trace_id"];
    assert_ne!(trace, &ids(caller).0);
    let http = line["spans"]
        .as_array()
        .unwrap()
        .iter()
        .find(|span| span["name"] == "http")
        .unwrap();
    assert_eq!(
        (&http["trace_id"], &http["client_trace_id"]),
        (trace, &ids(caller).0.into())
    );
    // What is no trace is not one.
    let request = b"GET / HTTP/1.1\r\nhost: a\r\ntraceparent: \xff\xff\r\nconnection: close\r\n\r\n";
    assert!(
        say(port.socket().await, request)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The first line that says so.
    fn line(&self, what: &str) -> serde_json::Value {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        let line = text.lines().find(|line| line.contains(what)).expect(&text);
        serde_json::from_str(line).unwrap()
    }
}

/// What this thread logs, as JSON, errors only.
fn logged() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::ERROR)
        .with_writer(move || writer.clone())
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

/// The handler runs in a task of the server, and logs an internal error there; only errors are logged at all.
#[tokio::test]
async fn lines_of_the_log_name_their_trace() {
    let (lines, _logging) = logged();
    let world = World::in_process();
    let mut client = world.approvals();
    let caller = TraceContext::start();
    // Twice: what another test's thread, which logs nothing, was the first to pass is off until asked again.
    for _ in 0..2 {
        tracing::callsite::rebuild_interest_cache();
        lines.0.lock().clear();
        world.toy.then(Act::Panic);
        let request = Request::new(ListRequest::default()).with_token(world.approver());
        caller.scope(client.list(request)).await.unwrap_err();
    }
    let line = lines.line("internal error");
    assert_eq!(line["span"]["trace_id"], ids(caller).0);
    assert_eq!(line["span"]["caller"], "gateway");
    assert_eq!(line["span"]["method"], "/harombe.hitl.v1.ApprovalService/List");
}

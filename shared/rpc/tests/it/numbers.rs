//! What the stack counts, and the port where it is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harombe_proto::hitl::v1::{ListRequest, WatchRequest};
use harombe_rpc::{Metrics, RequestExt as _, serve_ops};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use crate::on_both_paths;
use crate::stranger::say;
use crate::toy::{Act, reached};
use crate::world::World;

/// The value of the line that begins so and has all of `labels`.
fn value(metrics: &Metrics, name: &str, labels: &[&str]) -> Option<f64> {
    let page = metrics.encode();
    let line = page.lines().find(|line| {
        line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
    });
    line?.rsplit(' ').next()?.parse().ok()
}

const LIST: &str = "method=\"/harombe.hitl.v1.ApprovalService/List\"";
const WATCH: &str = "method=\"/harombe.hitl.v1.ApprovalService/Watch\"";
const CALLS: &str = "harombe_rpc_server_calls_total";
const IN_FLIGHT: &str = "harombe_rpc_server_in_flight";

on_both_paths! {
    async fn calls_are_counted_by_how_they_ended(world: World) {
        let mut client = world.approvals();
        let request = || Request::new(ListRequest::default()).with_token(world.approver());
        client.list(request()).await.unwrap();
        client.list(request()).await.unwrap();
        client.list(ListRequest::default()).await.unwrap_err();
        world.toy.then(Act::Panic);
        client.list(request()).await.unwrap_err();
        for (code, expected) in [("OK", 2.0), ("UNAUTHENTICATED", 1.0), ("INTERNAL", 1.0)] {
            let labels = [LIST, "service=\"hitl\"", &format!("code=\"{code}\"")];
            assert_eq!(value(&world.metrics, CALLS, &labels), Some(expected), "{code}");
        }
        assert_eq!(value(&world.metrics, "harombe_rpc_server_seconds_count", &[LIST]), Some(4.0));
        assert_eq!(value(&world.metrics, IN_FLIGHT, &[LIST]), Some(0.0));
    }

    async fn a_stream_is_in_flight_until_it_ends(world: World) {
        let mut client = world.approvals();
        let request = || Request::new(WatchRequest {}).with_token(world.approver());
        let frames = client.watch(request()).await.unwrap().into_inner();
        assert_eq!(frames.collect::<Vec<_>>().await.len(), 3);
        world.toy.then(Act::Wait);
        let frames = client.watch(request()).await.unwrap().into_inner();
        assert_eq!(value(&world.metrics, IN_FLIGHT, &[WATCH]), Some(1.0));
        drop(frames);
        reached(&world.toy.seen.dropped_streams, 2).await;
        // The handler's stream goes a moment before the body that counts it.
        let counted = async {
            while value(&world.metrics, CALLS, &[WATCH, "code=\"CANCELLED\""]) != Some(1.0) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::stranger::FOR_EVER, counted).await.unwrap();
        assert_eq!(value(&world.metrics, CALLS, &[WATCH, "code=\"OK\""]), Some(1.0));
        assert_eq!(value(&world.metrics, IN_FLIGHT, &[WATCH]), Some(0.0));
    }
}

#[tokio::test]
async fn the_operators_port_answers_three_questions() {
    let (metrics, stop) = (Metrics::new(), CancellationToken::new());
    let wants_calls = Arc::new(AtomicBool::new(false));
    let ready = {
        let wants_calls = Arc::clone(&wants_calls);
        move || wants_calls.load(Ordering::SeqCst)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(serve_ops(listener, metrics, ready, stop.clone()));
    let ask = async |line: &str| {
        let socket = TcpStream::connect(address).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        say(socket, request.as_bytes()).await
    };
    assert!(ask("GET /livez").await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(ask("GET /readyz").await.starts_with("HTTP/1.1 503 "));
    wants_calls.store(true, Ordering::SeqCst);
    assert!(ask("GET /readyz").await.starts_with("HTTP/1.1 200 OK\r\n"));
    let page = ask("GET /metrics").await;
    assert!(
        page.contains("content-type: application/openmetrics-text;"),
        "{page}"
    );
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(ask("GET /").await.starts_with("HTTP/1.1 404 "));
    let refused = ask("POST /livez").await;
    assert!(
        refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET"),
        "{refused}"
    );
    stop.cancel();
    serving.await.unwrap();
}

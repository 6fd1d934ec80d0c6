//! Upstreams that fail, in all the ways that a peer can.

use std::time::Duration;

use harombe_error::Reason;
use harombe_trail::Kind;
use serde_json::json;

use super::{GET, KEY, details, world};
use crate::model::{Model, Reply};

async fn failed(
    reply: Reply,
    edit: impl FnOnce(&mut harombe_egress_proxy::config::Upstream),
) -> (String, String) {
    let model = Model::start(None, [reply]).await;
    let world = world(&model.url(), edit).await;
    world.credential("model-key", KEY).await;
    let answer = world.ask("model", GET).await;
    let failure = answer.end.as_ref().expect_err("a failure").clone();
    assert_eq!(failure.reason, Reason::UpstreamFailed, "{failure:?}");
    let closed = world.audit.wait_for_kind(Kind::EgressClosed).await;
    assert_eq!(
        (closed.outcome.as_str(), &details(&closed)["reason"]),
        ("failed", &json!("UPSTREAM_FAILED"))
    );
    (failure.message, answer.text())
}

#[tokio::test]
async fn one_that_does_not_speak_http_or_stops_is_said_to_have_failed() {
    for reply in [
        Reply::Cut(Vec::new()),
        Reply::Cut(b"HTTP/1.1 2".to_vec()),
        Reply::Cut(b"SSH-2.0-OpenSSH\r\n".to_vec()),
        Reply::Cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()),
        Reply::Cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec()),
        Reply::Cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec()),
        Reply::Cut(format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(128 * 1024)).into_bytes()),
        Reply::Cut(format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(200)).into_bytes()),
        Reply::Bytes(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(),
        ),
        Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx".to_vec()),
    ] {
        failed(reply, |_| ()).await;
    }
}

#[tokio::test]
async fn one_that_is_silent_is_given_up() {
    let idle =
        |upstream: &mut harombe_egress_proxy::config::Upstream| upstream.idle = Duration::from_secs(1).into();
    let (message, _) = failed(Reply::Silence, idle).await;
    assert!(message.contains("silent"), "{message}");
    let stops = Reply::Stepwise(vec!["never"]);
    assert!(failed(stops, idle).await.0.contains("silent"));
    let half = Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec());
    let (message, text) = failed(half, idle).await;
    assert!(
        message.contains("silent") && text.ends_with("half"),
        "{message}: {text}"
    );
}

#[tokio::test]
async fn one_that_never_ends_is_broken_off() {
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(64 * 1024));
    let (message, text) = failed(Reply::Cut(long.into_bytes()), |upstream| {
        upstream.max_response = 1024.into();
    })
    .await;
    assert!(
        message.contains("max_response") && text.len() < 64 * 1024,
        "{message}"
    );
}

#[tokio::test]
async fn one_that_is_not_there_is_not_reached() {
    let world = world("http://127.0.0.1:1", |_| ()).await;
    world.credential("model-key", KEY).await;
    let answer = world.ask("model", GET).await;
    let failure = answer.end.as_ref().expect_err("a failure");
    assert_eq!(failure.reason, Reason::UpstreamFailed);
    assert!(
        failure.message.contains("cannot be reached"),
        "{}",
        failure.message
    );
    assert_eq!(
        world.audit.of_kind(Kind::EgressDecided).len(),
        1,
        "the decision was recorded before the dial"
    );
}

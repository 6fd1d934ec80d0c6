use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::toy::{KEEP_ALIVE, Rest, ask, bytes, request, rest};

fn say(text: &str) -> http::Request<tonic::body::Body> {
    let body = serde_json::json!({"client_message_id": "1", "text": text});
    request("POST", "/v1/sessions/s/messages", &body.to_string())
}

/// The fields of each event.
fn events(body: &[u8]) -> Vec<Vec<(String, String)>> {
    let text = std::str::from_utf8(body).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"));
    let blocks = text.split("\n\n").filter(|block| !block.is_empty());
    let line = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    };
    blocks.map(|block| block.lines().map(line).collect()).collect()
}

#[tokio::test]
async fn messages_are_events_with_their_cursor() {
    let (rest, _) = rest();
    let (status, headers, body) = bytes(rest.answer(say("hello")).await).await;
    assert_eq!(
        (status.as_u16(), &headers["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    let events = events(&body);
    let heads: Vec<_> = events
        .iter()
        .map(|event| (event[0].1.as_str(), event[1].1.as_str()))
        .collect();
    assert_eq!(
        heads,
        [("1", "run_started"), ("1", "text_delta"), ("2", "run_finished")]
    );
    let data: Value = serde_json::from_str(&events[1][2].1).unwrap();
    assert_eq!(
        (&data["text_delta"]["text"], &data["time"]),
        (&"s\n1".into(), &"1970-01-01T00:00:00Z".into())
    );
}

#[tokio::test]
async fn lines_of_json_for_those_who_ask() {
    let (rest, _) = rest();
    let mut say = say("fail");
    say.headers_mut()
        .insert("accept", "application/x-ndjson".parse().unwrap());
    let (_, headers, body) = bytes(rest.answer(say).await).await;
    assert_eq!(headers["content-type"], "application/x-ndjson");
    let lines: Vec<Value> = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines[0]["cursor"], "1");
    assert_eq!(lines[1]["error"]["reason"], "MEMORY_UNAVAILABLE");
}

async fn watched(rest: &Rest, path: &str, last: Option<&str>) -> (u16, Vec<String>) {
    let mut watch = request("GET", path, "");
    if let Some(last) = last {
        watch.headers_mut().insert("last-event-id", last.parse().unwrap());
    }
    let (status, _, body) = bytes(rest.answer(watch).await).await;
    let ids = match status.as_u16() {
        200 => events(&body)
            .into_iter()
            .map(|event| event[0].1.clone())
            .collect(),
        _ => Vec::new(),
    };
    (status.as_u16(), ids)
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_lost() {
    let (rest, _) = rest();
    let ids = |ids: &[&str]| (200, ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
    assert_eq!(
        watched(&rest, "/v1/runs/r/events", None).await,
        ids(&["1", "2", "3"])
    );
    assert_eq!(
        watched(&rest, "/v1/runs/r/events?after_cursor=1", None).await,
        ids(&["2", "3"])
    );
    // The header is newer than the address that the browser kept.
    assert_eq!(
        watched(&rest, "/v1/runs/r/events?after_cursor=1", Some("2")).await,
        ids(&["3"])
    );
    assert_eq!(
        watched(&rest, "/v1/runs/r/events?after_cursor=3", None).await,
        ids(&[])
    );
    assert_eq!(
        watched(&rest, "/v1/runs/r/events", Some("3")).await,
        (204, Vec::new())
    );
    assert_eq!(
        watched(&rest, "/v1/runs/r/events", Some("x")).await,
        (400, Vec::new())
    );
}

#[tokio::test]
async fn a_refusal_has_its_status_and_a_later_failure_its_event() {
    let (rest, _) = rest();
    for text in ["refuse", "refuse late"] {
        let (status, _, _) = bytes(rest.answer(say(text)).await).await;
        assert_eq!(status.as_u16(), 404, "{text}");
    }
    let (status, _, body) = bytes(rest.answer(say("fail")).await).await;
    let events = events(&body);
    assert_eq!((status.as_u16(), events.len()), (200, 2));
    assert_eq!(events[1][0], ("event".to_owned(), "error".to_owned()));
    assert!(events[1][1].1.contains("memory is away"));
    let (_, called) = ask("POST", "/v1/sessions/s/tools/t:call", r#"{"tool": "u"}"#).await;
    assert_eq!(called["error"]["code"], 400);
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_comments() {
    let (rest, _) = rest();
    let mut body = rest.answer(say("silence")).await.into_body();
    for _ in 0..3 {
        let begun = tokio::time::Instant::now();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, ": keep-alive\n\n");
        let waited = begun.elapsed();
        assert!(
            waited <= KEEP_ALIVE && waited + Duration::from_secs(2) > KEEP_ALIVE,
            "{waited:?}"
        );
    }
}

#[tokio::test]
async fn nothing_is_made_that_nobody_reads_and_a_reader_who_leaves_ends_it() {
    let (rest, seen) = rest();
    let mut body = rest.answer(say("flood")).await.into_body();
    for _ in 0..3 {
        body.frame().await.unwrap().unwrap();
    }
    let produced = seen.produced.load(Ordering::SeqCst);
    assert!(produced <= 3 + 16, "{produced} messages for 3 that were read");
    tokio::task::yield_now().await;
    assert_eq!(seen.produced.load(Ordering::SeqCst), produced);
    drop(body);
    assert_eq!(seen.dropped.load(Ordering::SeqCst), 1);
}

//! Whatever comes, an answer goes: no panic, no wait without end, and refusals are JSON.

use http::{HeaderValue, Method, Request};
use proptest::prelude::*;
use tonic::body::Body;

use crate::toy::{bytes, rest};

fn paths() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "/v1",
        "/sessions",
        "/runs",
        "/x",
        "/files",
        "/events",
        "/messages",
        ":cancel",
        ":",
        "/",
        "//",
        "%",
        "%2f",
        "%00",
        "%ff",
        "{",
        "..",
        "/.",
        "/tools",
        "?",
        "limit",
        "=",
        "1",
        "&",
        "after_cursor",
        "start.path",
        "é",
    ]);
    prop::collection::vec(pieces, 0..9).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let json = prop::sample::select(vec![
        "{}",
        "null",
        "[",
        "{\"text\":",
        "\"a\"",
        "{\"session_id\":1}",
        "{\"text\":\"hello\",\"client_message_id\":\"1\"}",
        "{\"agent\":null}",
        "{\"a\":{\"b\":[1,2,3]}}",
        "1e999",
        "\"\\ud800\"",
    ]);
    prop_oneof![
        json.prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..64)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_has_an_answer(
        method in prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"]),
        path in paths(),
        body in bodies(),
        kind in prop::sample::select(vec!["application/json", "text/plain", ";", "\u{80}"]),
        accept in prop::option::of(prop::collection::vec(32_u8..=255, 0..20)),
        last in prop::option::of(prop::collection::vec(32_u8..=126, 0..24)),
    ) {
        let Ok(uri) = path.parse::<http::Uri>() else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (rest, _) = rest();
            let mut request = Request::new(Body::new(http_body_util::Full::new(bytes::Bytes::from(body))));
            *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
            *request.uri_mut() = uri;
            let header = |bytes: &[u8]| HeaderValue::from_bytes(bytes).ok();
            for (name, value) in [("content-type", Some(kind.as_bytes().to_vec())), ("accept", accept), ("last-event-id", last)] {
                if let Some(value) = value.and_then(|value| header(&value)) {
                    request.headers_mut().insert(name, value);
                }
            }
            let (status, headers, body) = bytes(rest.answer(request).await).await;
            assert!(status.as_u16() < 500 || status.as_u16() == 500 && uri_is_agents(&path), "{method} {path}: {status}");
            if !status.is_success() {
                assert_eq!(headers["content-type"], "application/json");
                let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert!(!error["error"]["message"].as_str().unwrap().is_empty());
            }
        });
    }
}

/// The toy's own internal failure.
fn uri_is_agents(path: &str) -> bool {
    path.starts_with("/v1/agents")
}

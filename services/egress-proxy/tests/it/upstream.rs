//! Upstreams, black box: only who may, only where the operator said, with a credential that nobody else ever sees.

mod faults;
mod own;
mod refusals;

use harombe_egress_proxy::Config;
use harombe_egress_proxy::config::{Injection, Upstream};
use harombe_proto::egress::v1::tunnel_response::Frame;
use harombe_types::ServiceName;
use serde_json::{Value, json};

use crate::model::{Model, Reply};
use crate::server::Authority;
use crate::world::{World, data, open_upstream};

pub(crate) const KEY: &str = "sk-very-secret/\"credential\"-0123456789";
const POST: &str = "POST /v1/messages?beta=true HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
const GET: &str = "GET /v1/models HTTP/1.1\r\nHost: model\r\n\r\n";

/// A world with the upstream `model` at that URL.
pub(crate) async fn world(url: &str, edit: impl FnOnce(&mut Upstream)) -> World {
    let upstream = upstream(url, edit);
    let configure = |config: &mut Config| {
        config.upstreams.insert("model".to_owned(), upstream);
    };
    World::with("", configure, |_| ()).await
}

fn upstream(url: &str, edit: impl FnOnce(&mut Upstream)) -> Upstream {
    let mut upstream = Upstream {
        services: vec![ServiceName::Runtime],
        credential: Some("model-key".to_owned()),
        ..Upstream::new(url)
    };
    edit(&mut upstream);
    upstream
}

fn details(event: &harombe_proto::audit::v1::Event) -> Value {
    serde_json::from_str(&event.details).expect("details")
}

#[tokio::test]
async fn a_request_is_passed_on_with_the_credential_and_recorded_without() {
    let model = Model::start(None, [Reply::json("{\"ok\":true}")]).await;
    let url = format!("{}/base/", model.url());
    let world = world(&url, |upstream| {
        upstream.inject = Injection::try_from("x-api-key".to_owned()).expect("an injection");
        upstream.headers = [("anthropic-version".to_owned(), "2023-06-01".to_owned())].into();
    })
    .await;
    world.credential("model-key", KEY).await;
    let request = POST.replace(
        "Host: model\r\n",
        "Host: evil.test\r\nAuthorization: Bearer caller\r\nX-API-KEY: caller\r\nx_api_key: caller\r\nCookie: a=caller\r\nProxy-Authorization: caller\r\nAccept-Encoding: gzip\r\nAnthropic-Version: caller\r\n",
    );
    let answer = world.ask("model", &request).await;
    assert_eq!(answer.end, Ok(()));
    assert!(
        answer.text().starts_with("HTTP/1.1 200 OK\r\n") && answer.text().ends_with("\r\n\r\n{\"ok\":true}")
    );
    let opened = answer.opened.as_ref().expect("opened");
    assert_eq!(
        (opened.host.as_str(), opened.port),
        ("127.0.0.1", u32::from(model.port))
    );
    let heard = model.heard().remove(0);
    let mut lines: Vec<_> = heard.head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST /base/v1/messages?beta=true HTTP/1.1");
    lines.sort_unstable();
    let (host, key) = (
        format!("host: 127.0.0.1:{}", model.port),
        format!("x-api-key: {KEY}"),
    );
    let expected = [
        "accept-encoding: identity",
        "anthropic-version: 2023-06-01",
        "content-length: 2",
        "content-type: application/json",
        &host,
        &key,
    ];
    assert_eq!(lines, expected);
    assert_eq!(heard.body, "{}");
    let run = world.run.run.to_string();
    let events = world.end().await.events();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| (event.kind.as_str(), event.outcome.as_str()))
        .collect();
    assert_eq!(kinds, [("egress.decided", "ok"), ("egress.closed", "ok")]);
    assert!(
        events
            .iter()
            .all(|event| event.run_id == run && event.call_id.is_empty())
    );
    let decided = details(&events[0]);
    assert_eq!(
        decided,
        json!({"kind": "upstream", "upstream": "model", "host": format!("127.0.0.1:{}", model.port), "method": "POST",
            "path": "/v1/messages", "credential": "model-key"})
    );
    let closed = details(&events[1]);
    assert_eq!(
        (
            &closed["status"],
            &closed["sent_bytes"],
            &closed["received_bytes"],
            &closed["upstream"]
        ),
        (&json!(200), &json!(2), &json!(11), &json!("model"))
    );
    assert!(events.iter().all(|event| !event.details.contains("sk-very")));
}

#[tokio::test]
async fn an_answer_streams_as_it_comes() {
    let pieces = vec![
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        "9\r\ndata: 1\n\n\r\n",
        "9\r\ndata: 2\n\n\r\n",
        "0\r\n\r\n",
    ];
    let model = Model::start(None, [Reply::Stepwise(pieces)]).await;
    let world = world(&model.url(), |_| ()).await;
    world.credential("model-key", KEY).await;
    let (frames, mut answer) = world.open_upstream("model").await;
    let mut text = String::new();
    let mut read_until = async |wanted: &str| {
        while !text.contains(wanted) {
            match answer
                .message()
                .await
                .expect("a message")
                .and_then(|message| message.frame)
            {
                Some(Frame::Data(data)) => text.push_str(std::str::from_utf8(&data).expect("text")),
                Some(Frame::Opened(_)) => {}
                None => panic!("the tunnel ended before {wanted:?}: {text}"),
            }
        }
    };
    frames.send(data(GET)).await.expect("room");
    // Each piece is let go only when the one before it has been heard.
    for wanted in ["text/event-stream", "data: 1\n\n", "data: 2\n\n", "0\r\n\r\n"] {
        model.step();
        read_until(wanted).await;
    }
}

#[tokio::test]
async fn a_request_streams_as_it_comes() {
    let model = Model::start(None, [Reply::json("{}")]).await;
    let world = world(&model.url(), |_| ()).await;
    world.credential("model-key", KEY).await;
    let (frames, mut answer) = world.open_upstream("model").await;
    let head = "POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    frames.send(data(head)).await.expect("room");
    model.wait_for_body("first").await;
    for piece in ["6\r\nseco", "nd\r\n", "0\r\n\r\n"] {
        frames.send(data(piece)).await.expect("room");
    }
    model.wait_for_body("second").await;
    while answer.message().await.expect("a message").is_some() {}
    assert!(model.heard()[0].head.contains("transfer-encoding: chunked"));
}

#[tokio::test]
async fn connections_are_kept_and_a_changed_credential_counts_at_once() {
    let model = Model::start(None, [Reply::json("{}")]).await;
    let world = world(&model.url(), |_| ()).await;
    for key in ["first-credential", "second-credential"] {
        world.credential("model-key", key).await;
        assert_eq!(world.ask("model", GET).await.end, Ok(()));
        let last = model.heard().pop().expect("a request");
        assert!(
            last.head.contains(&format!("authorization: Bearer {key}\r\n")),
            "{}",
            last.head
        );
    }
    assert_eq!((model.heard().len(), model.connections()), (2, 1));
}

#[tokio::test]
async fn an_upstream_that_closed_a_kept_connection_is_connected_anew() {
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
    let model = Model::start(None, [Reply::Cut(whole)]).await;
    let world = world(&model.url(), |upstream| upstream.credential = None).await;
    for _ in 0..3 {
        assert_eq!(world.ask("model", GET).await.end, Ok(()));
        model.wait_for_end().await;
    }
    assert_eq!(model.connections(), 3);
}

#[tokio::test]
async fn without_a_credential_nothing_is_injected() {
    let model = Model::start(None, [Reply::json("{}")]).await;
    let world = world(&model.url(), |upstream| upstream.credential = None).await;
    let request = GET.replace("Host: model", "Host: model\r\nAuthorization: Bearer caller");
    assert_eq!(world.ask("model", &request).await.end, Ok(()));
    assert!(!model.heard()[0].head.to_lowercase().contains("authorization"));
    let decided = details(&world.end().await.events()[0]);
    assert_eq!(decided["credential"], Value::Null);
}

#[tokio::test]
async fn an_upstream_that_repeats_what_it_was_sent_does_not_give_the_credential_away() {
    for size in [1, 7, 4096] {
        let model = Model::start(None, [Reply::Echo(size)]).await;
        let world = world(&model.url(), |_| ()).await;
        world.credential("model-key", KEY).await;
        let answer = world.ask("model", GET).await;
        assert_eq!(answer.end, Ok(()));
        let text = answer.text();
        let stars = "*".repeat(KEY.len());
        assert!(!text.contains(KEY), "{text}");
        assert!(
            text.contains(&format!("authorization: Bearer {stars}\r\n")),
            "{text}"
        );
        assert!(
            !text.contains("x-seen") && text.contains("x-other: kept\r\n"),
            "{text}"
        );
        assert!(model.heard()[0].head.contains(KEY), "it was sent");
    }
    // As a JSON string would write it.
    let escaped = serde_json::to_string(KEY).expect("json");
    let model = Model::start(None, [Reply::json(&format!("{{\"error\":{escaped}}}"))]).await;
    let world = world(&model.url(), |_| ()).await;
    world.credential("model-key", KEY).await;
    let text = world.ask("model", GET).await.text();
    assert!(
        text.contains("{\"error\":\"***") && !text.contains("sk-very"),
        "{text}"
    );
}

#[tokio::test]
async fn what_belongs_to_the_hop_stays_and_a_redirect_is_handed_back() {
    let reply = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\nSet-Cookie: a=b\r\nConnection: keep-alive, X-Hop\r\n\
        X-Hop: 1\r\nKeep-Alive: timeout=5\r\nAlt-Svc: h3=\":443\"\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
    let model = Model::start(None, [Reply::Bytes(reply.into())]).await;
    let world = world(&model.url(), |upstream| upstream.credential = None).await;
    let text = world.ask("model", GET).await.text().to_lowercase();
    assert!(
        text.starts_with("http/1.1 302 found\r\nlocation: http://127.0.0.1:1/elsewhere\r\n"),
        "{text}"
    );
    for gone in ["set-cookie", "x-hop", "keep-alive", "alt-svc"] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
    assert!(text.contains("retry-after: 3\r\n"));
    assert_eq!(model.heard().len(), 1);
}

#[tokio::test]
async fn an_upstream_proves_its_name_to_its_own_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let tls = authority.server("localhost", |_| ());
    let model = Model::start(Some(tls), [Reply::json("{}")]).await;
    let files = tempfile::tempdir().expect("a directory");
    let path = files.path().join("ca.pem");
    let url = format!("https://localhost:{}", model.port);
    for (pem, works) in [
        (authority.pem(), true),
        (other.pem(), false),
        (String::new(), false),
    ] {
        std::fs::write(&path, pem).expect("written");
        let world = world(&url, |upstream| upstream.ca = Some(path.clone())).await;
        world.credential("model-key", KEY).await;
        let before = model.heard().len();
        let answer = world.ask("model", GET).await;
        assert_eq!(answer.end.is_ok(), works, "{answer:?}");
        assert_eq!(
            model.heard().len() > before,
            works,
            "the credential is shown to none who is not known"
        );
        if !works {
            assert_eq!(answer.reason(), harombe_error::Reason::UpstreamFailed);
        }
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_the_exchange_along() {
    let pieces = vec!["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12345", "never"];
    let model = Model::start(None, [Reply::Stepwise(pieces)]).await;
    let world = world(&model.url(), |_| ()).await;
    world.credential("model-key", KEY).await;
    let (frames, mut answer) = world.open_upstream("model").await;
    frames.send(data(GET)).await.expect("room");
    model.step();
    // Until the first piece of the answer is here.
    while !matches!(
        answer.message().await.expect("a message").expect("a frame").frame,
        Some(Frame::Data(_))
    ) {}
    drop((frames, answer));
    let closed = world.audit.wait_for_kind(harombe_trail::Kind::EgressClosed).await;
    assert_eq!(closed.outcome, "failed");
    model.step();
    model.wait_for_end().await;
}

#[tokio::test]
async fn a_tunnel_is_for_one_right_only() {
    let world = world("http://127.0.0.1:1", |_| ()).await;
    let mut both = open_upstream("model");
    if let Some(harombe_proto::egress::v1::tunnel_request::Frame::Open(open)) = &mut both.frame {
        open.grant = "a grant".to_owned();
    }
    let answer = world.send(vec![both, data(GET)]).await;
    assert_eq!(answer.reason(), harombe_error::Reason::InvalidArgument);
}

//! What never reaches an upstream.

use harombe_error::{Code, Reason};
use harombe_secrets::{Error, Secrets as _};
use harombe_testkit::Fault;
use harombe_trail::Kind;
use harombe_types::ServiceName;
use serde_json::json;

use super::{GET, KEY, POST, details, world};
use crate::model::{Model, Reply};

#[tokio::test]
async fn who_may_not_use_it_is_refused_and_recorded() {
    let model = Model::start(None, [Reply::json("{}")]).await;
    let world = world(&model.url(), |upstream| {
        upstream.services = vec![ServiceName::Memory];
    })
    .await;
    world.credential("model-key", KEY).await;
    for (name, code) in [
        ("model", "upstream-not-permitted"),
        ("other", "upstream-unknown"),
        ("Model", "upstream-unknown"),
    ] {
        let answer = world.ask(name, GET).await;
        assert_eq!(
            (answer.opened.is_none(), answer.reason()),
            (true, Reason::EgressDenied),
            "{name}"
        );
        let event = world.audit.of_kind(Kind::EgressDecided).pop().expect("recorded");
        assert_eq!(
            (event.outcome.as_str(), &details(&event)["code"]),
            ("denied", &json!(code))
        );
    }
    assert_eq!(model.connections(), 0);
}

#[tokio::test]
async fn a_credential_that_cannot_be_had_keeps_the_request_here() {
    let model = Model::start(None, [Reply::json("{}")]).await;
    let world = world(&model.url(), |_| ()).await;
    let refused = async |code| {
        let answer = world.ask("model", GET).await;
        let failure = answer.end.as_ref().expect_err("a failure");
        assert_eq!(
            (failure.reason, failure.code),
            (Reason::CredentialUnavailable, code)
        );
        let event = world.audit.of_kind(Kind::EgressDecided).pop().expect("recorded");
        assert_eq!(event.outcome, "failed");
        assert_eq!(details(&event)["code"], "credential-unavailable");
    };
    refused(Code::FailedPrecondition).await;
    world.credential("model-key", "two\r\nlines: of a header").await;
    refused(Code::FailedPrecondition).await;
    world.credential("model-key", KEY).await;
    std::fs::write(world.files.path().join("secrets.age"), "no longer sealed").expect("written");
    let name = "model-key".parse().expect("a name");
    assert!(matches!(
        world.secrets.get(&name).await,
        Err(Error::Sealed { .. })
    ));
    refused(Code::FailedPrecondition).await;
    assert_eq!(model.connections(), 0);
}

#[tokio::test]
async fn nothing_leaves_without_a_record() {
    let model = Model::start(None, [Reply::json("{}")]).await;
    let world = world(&model.url(), |_| ()).await;
    world.credential("model-key", KEY).await;
    world.audit.fail(Fault::Rejects(Kind::EgressDecided));
    let answer = world.ask("model", GET).await;
    assert!(answer.end.is_err());
    assert_eq!(model.connections(), 0);
    world.audit.fail(Fault::None);
    assert_eq!(world.ask("model", GET).await.end, Ok(()));
}

#[tokio::test]
async fn requests_that_two_servers_could_read_differently_are_refused() {
    let model = Model::start(None, [Reply::json("{}")]).await;
    let world = world(&format!("{}/v1", model.url()), |_| ()).await;
    world.credential("model-key", KEY).await;
    let post = |fields: &str, body: &str| format!("POST /x HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{body}");
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let cases = [
        post("Content-Length: 2\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\nContent-Length: 2", "0\r\n\r\n"),
        post("Content-Length: 2\r\nContent-Length: 2", "{}"),
        post("Content-Length: +2", "{}"),
        post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
        post("Transfer-Encoding : chunked", "0\r\n\r\n"),
        post("A: b\r\n Transfer-Encoding: chunked", "0\r\n\r\n"),
        post("Upgrade: websocket\r\nConnection: upgrade", ""),
        "GET /x HTTP/1.1\nHost: x\n\n".to_owned(),
        "GET /x HTTP/1.0\r\n\r\n".to_owned(),
        "CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "DELETE /x HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        get("http://evil.test/"),
        get("//evil.test/"),
        get("/../admin"),
        get("/%2e%2e/admin"),
        get("/..%2fadmin"),
        get("/x/..;/..;/admin"),
        get("/%252e%252e/admin"),
        get("/x%0d%0ay"),
    ];
    for request in &cases {
        let answer = world.ask("model", request).await;
        assert_eq!(answer.reason(), Reason::EgressDenied, "{request:?}");
        assert!(answer.bytes.is_empty());
        let event = world.audit.of_kind(Kind::EgressDecided).pop().expect("recorded");
        assert_eq!(
            (event.outcome.as_str(), &details(&event)["code"]),
            ("denied", &json!("unfit"))
        );
    }
    assert_eq!(world.audit.of_kind(Kind::EgressDecided).len(), cases.len());
    assert_eq!(model.connections(), 0);
}

#[tokio::test]
async fn a_body_that_is_framed_wrongly_or_too_long_breaks_the_exchange() {
    let model = Model::start(None, [Reply::json("{}")]).await;
    let world = world(&model.url(), |upstream| upstream.max_request = 8.into()).await;
    world.credential("model-key", KEY).await;
    let chunked =
        |body: &str| format!("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    for body in ["zz\r\n", "2\r\n{}x\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "2"] {
        let answer = world.ask("model", &chunked(body)).await;
        assert_eq!(answer.reason(), Reason::InvalidArgument, "{body:?}");
    }
    for request in [
        POST.replace("Length: 2", "Length: 9"),
        chunked("9\r\n123456789\r\n0\r\n\r\n"),
    ] {
        let answer = world.ask("model", &request).await;
        assert_eq!(answer.reason(), Reason::LimitExceeded, "{request}");
    }
    assert!(
        model
            .heard()
            .iter()
            .all(|heard| !heard.body.ends_with("0\r\n\r\n")),
        "none came whole"
    );
    for request in ["", "GET /x", "GET /x HTTP/1.1\r\nHost: x\r\n"] {
        let answer = world.ask("model", request).await;
        assert_eq!(answer.reason(), Reason::InvalidArgument, "{request:?}");
    }
}

#[tokio::test]
async fn a_head_is_bounded() {
    let model = Model::start(None, [Reply::json("{}")]).await;
    let world = world(&model.url(), |_| ()).await;
    let request = GET.replace(
        "Host: model",
        &format!("Host: model\r\nA: {}", "b".repeat(64 * 1024)),
    );
    assert_eq!(world.ask("model", &request).await.reason(), Reason::EgressDenied);
    let many: String = (0..100).map(|number| format!("a{number}: b\r\n")).collect();
    let request = GET.replace("Host: model\r\n", &format!("Host: model\r\n{many}"));
    assert_eq!(
        world.ask("model", &request).await.reason(),
        Reason::InvalidArgument
    );
    assert_eq!(model.connections(), 0);
}

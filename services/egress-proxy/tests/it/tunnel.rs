//! The tunnel, black box: nothing leaves without a grant, a decision and a record; what leaves is the granted call.

mod permission;

use harombe_error::{Code, Reason};
use harombe_proto::egress::v1::TunnelRequest;
use harombe_proto::egress::v1::egress_service_client::EgressServiceClient;
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_testkit::Fault;
use harombe_trail::Kind;
use harombe_types::{LeaseId, RunId, ServiceName};
use serde_json::{Value, json};
use tonic::Request;

use crate::world::{GET, PUBLIC, URL, World, data, open};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\nhello";

fn details(event: &harombe_proto::audit::v1::Event) -> Value {
    serde_json::from_str(&event.details).expect("details")
}

#[tokio::test]
async fn a_granted_and_allowed_fetch_comes_back_whole_and_leaves_its_record() {
    let world = World::new(HELLO).await;
    let args = json!({ "url": URL, "headers": { "Accept": "text/plain", "Authorization": "Bearer x" } });
    let request =
        "GET /a?b=c HTTP/1.1\r\nHost: api.allowed.test\r\nAccept: from/tunnel\r\nCookie: a=b\r\n\r\n";
    let answer = world.fetch_with(&args, request).await;
    assert_eq!(answer.end, Ok(()));
    let opened = answer.opened.as_ref().expect("opened");
    assert_eq!(
        (opened.host.as_str(), opened.port, opened.address.as_str()),
        ("api.allowed.test", 443, PUBLIC)
    );
    let text = answer.text();
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        "{text}"
    );
    assert!(!text.to_lowercase().contains("set-cookie"));
    let head = world.server.heard().remove(0).head;
    assert!(
        head.contains("accept: text/plain\r\n"),
        "the call's field is sent: {head}"
    );
    assert!(
        !head.contains("from/tunnel") && !head.contains("cookie") && !head.contains("authorization"),
        "{head}"
    );
    assert_eq!((world.hitl.redeemed(), world.dialled()), (1, 1));
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
            .all(|event| event.run_id == run && event.principal == "run" && event.subject == "ann")
    );
    let decided = details(&events[0]);
    assert_eq!(decided["url"], URL);
    assert_eq!(decided["addresses"], json!([PUBLIC]));
    assert_eq!(decided["rule"], "allow[0] api.allowed.test");
    assert_eq!(decided["withheld_headers"], json!(["authorization"]));
    assert_eq!(decided["more_withheld_headers"], 0);
    assert_eq!(events[0].policy_version.len(), 12);
    let closed = details(&events[1]);
    assert_eq!(
        (&closed["status"], &closed["received_bytes"], &closed["truncated"]),
        (&json!(200), &json!(5), &json!(false))
    );
}

#[tokio::test]
async fn long_names_of_withheld_fields_do_not_make_the_record_large() {
    let world = World::new(HELLO).await;
    let name = |number| format!("x-{number}-{}", "a".repeat(2000));
    let headers: serde_json::Map<_, _> = (0..30).map(|number| (name(number), json!("v"))).collect();
    let answer = world
        .fetch_with(&json!({ "url": URL, "headers": headers }), GET)
        .await;
    assert_eq!(answer.end, Ok(()));
    let decided = world.audit.wait_for_kind(Kind::EgressDecided).await;
    assert_eq!(
        details(&decided)["withheld_headers"].as_array().map(Vec::len),
        Some(30)
    );
    assert!(decided.details.len() < 4096, "{} bytes", decided.details.len());
}

#[tokio::test]
async fn the_request_may_be_in_absolute_form_and_arrive_in_pieces() {
    let world = World::new(HELLO).await;
    let call = world.call(&json!({ "url": URL, "method": "HEAD" }));
    let grant = world.grant(&call, |_| ());
    let request = "HEAD https://API.allowed.test:443/a?b=c HTTP/1.1\r\nHost: api.allowed.test.\r\n\r\n";
    let mut frames = vec![open(&grant, &call)];
    frames.extend(request.split_inclusive(' ').map(data));
    let answer = world.send(frames).await;
    assert_eq!(answer.end, Ok(()));
    assert!(answer.text().ends_with("\r\n\r\n"), "{}", answer.text());
}

#[tokio::test]
async fn what_the_policy_denies_is_recorded_and_spends_nothing() {
    let world = World::new(HELLO).await;
    let cases = [
        (
            json!({ "url": "https://attacker.test/" }),
            "acl",
            "host-not-listed",
        ),
        (
            json!({ "url": "https://169.254.169.254/" }),
            "acl",
            "host-not-listed",
        ),
        (
            json!({ "url": "https://api.allowed.test@attacker.test/" }),
            "parse",
            "malformed",
        ),
        (
            json!({ "url": URL, "method": "POST" }),
            "http",
            "method-not-listed",
        ),
        (
            json!({ "url": URL, "headers": { "Host": "attacker.test" } }),
            "http",
            "host-header",
        ),
        (
            json!({ "url": "https://evil.allowed.test/" }),
            "dns",
            "answer-forbidden",
        ),
    ];
    for (args, stage, _) in &cases {
        let answer = world.fetch_with(args, GET).await;
        let failure = answer.end.expect_err("denied");
        assert_eq!(
            (failure.code, failure.reason),
            (Code::PermissionDenied, Reason::EgressDenied),
            "{args}"
        );
        assert!(
            failure.message.contains(&format!("stage {stage}")),
            "{}",
            failure.message
        );
        assert!(answer.opened.is_none());
    }
    assert_eq!((world.hitl.redeemed(), world.dialled()), (0, 0));
    assert_eq!(
        world.resolver.asked(),
        ["evil.allowed.test"],
        "only an admitted name is resolved"
    );
    let events = world.end().await.events();
    assert_eq!(events.len(), cases.len());
    for (event, (_, stage, code)) in events.iter().zip(&cases) {
        assert_eq!(
            (event.kind.as_str(), event.outcome.as_str()),
            ("egress.decided", "denied")
        );
        assert_eq!(
            (&details(event)["stage"], &details(event)["code"]),
            (&json!(stage), &json!(code))
        );
    }
}

#[tokio::test]
async fn without_a_record_nothing_is_dialled() {
    let world = World::new(HELLO).await;
    world.audit.fail(Fault::Unavailable);
    let answer = world.fetch().await;
    assert_eq!(answer.reason(), Reason::AuditUnavailable);
    assert!(answer.opened.is_none());
    assert_eq!(
        (world.hitl.redeemed(), world.dialled()),
        (1, 0),
        "a grant burnt without an act is acceptable"
    );
}

#[tokio::test]
async fn the_request_in_the_tunnel_must_be_the_call() {
    let world = World::new(HELLO).await;
    for request in [
        "HEAD /a?b=c HTTP/1.1\r\nHost: api.allowed.test\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: api.allowed.test\r\n\r\n",
        "GET /a?b=c HTTP/1.1\r\nHost: attacker.test\r\n\r\n",
        "GET /a?b=c HTTP/1.1\r\nHost: api.allowed.test:8443\r\n\r\n",
        "GET /a?b=c HTTP/1.1\r\n\r\n",
        "GET /a?b=c HTTP/1.1\r\nHost: api.allowed.test\r\nHost: attacker.test\r\n\r\n",
        "GET https://attacker.test/a?b=c HTTP/1.1\r\nHost: api.allowed.test\r\n\r\n",
        "GET http://api.allowed.test/a?b=c HTTP/1.1\r\nHost: api.allowed.test\r\n\r\n",
        "GET https://api.allowed.test/a?b=c HTTP/1.1\r\nHost: attacker.test\r\n\r\n",
        "GET /a?b=c HTTP/1.1\r\nHost: api.allowed.test\r\nContent-Length: 3\r\n\r\nabc",
        "GET /a?b=c HTTP/1.1\r\nHost: api.allowed.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "CONNECT api.allowed.test:443 HTTP/1.1\r\nHost: api.allowed.test:443\r\n\r\n",
    ] {
        let answer = world.fetch_with(&json!({ "url": URL }), request).await;
        assert_eq!(answer.reason(), Reason::CallMismatch, "{request}");
        assert_eq!(answer.text(), "", "{request}");
    }
    for request in ["SSH-2.0-x\r\n\r\n", "GET /a?b=c HTTP/1.1", ""] {
        let answer = world.fetch_with(&json!({ "url": URL }), request).await;
        assert_eq!(answer.reason(), Reason::InvalidArgument, "{request}");
    }
    assert_eq!(world.dialled(), 0);
}

#[tokio::test]
async fn a_second_request_in_the_tunnel_is_not_served() {
    let world = World::new(HELLO).await;
    let answer = world.fetch_with(&json!({ "url": URL }), &GET.repeat(2)).await;
    assert_eq!(answer.text().matches("HTTP/1.1 200").count(), 1);
    assert_eq!((world.dialled(), world.server.heard().len()), (1, 1));
}

#[tokio::test]
async fn frames_out_of_order_end_the_tunnel() {
    let world = World::new(HELLO).await;
    let call = world.call(&json!({ "url": URL }));
    let grant = world.grant(&call, |_| ());
    let opening = open(&grant, &call);
    for frames in [vec![], vec![data(GET)], vec![TunnelRequest { frame: None }]] {
        assert_eq!(world.send(frames).await.reason(), Reason::InvalidArgument);
    }
    let twice = world.send(vec![opening.clone(), opening]).await;
    assert_eq!(twice.reason(), Reason::InvalidArgument);
    assert_eq!(world.dialled(), 0);
}

#[tokio::test]
async fn a_body_is_cut_where_the_call_or_the_lease_says() {
    let long = |head: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
    let world = World::new(long("Content-Length: 10", "0123456789")).await;
    let answer = world
        .fetch_with(&json!({ "url": URL, "max_bytes": 4 }), GET)
        .await;
    assert_eq!(answer.end, Ok(()));
    let text = answer.text();
    assert!(
        text.contains("harombe-truncated: true\r\n") && text.contains("\r\n0123\r\n"),
        "{text}"
    );
    assert!(!text.to_lowercase().contains("content-length"), "{text}");
    world.hitl.lease(|lease| lease.bytes = 2);
    assert!(world.fetch().await.text().contains("\r\n01\r\n"));
    let world = World::new(long("Transfer-Encoding: chunked", "a\r\n0123456789\r\n0\r\n\r\n")).await;
    let request = "GET /a?b=c HTTP/1.1\r\nHost: api.allowed.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
    let answer = world
        .fetch_with(&json!({ "url": URL, "max_bytes": 4 }), request)
        .await;
    assert!(
        answer
            .text()
            .ends_with("\r\n0\r\nharombe-truncated: true\r\n\r\n"),
        "{}",
        answer.text()
    );
    let event = world.audit.wait_for_kind(Kind::EgressClosed).await;
    assert_eq!(
        (&details(&event)["truncated"], &details(&event)["received_bytes"]),
        (&json!(true), &json!(10))
    );
}

#[tokio::test]
async fn a_page_is_redacted_before_it_is_cut_and_the_record_counts_what_was_taken_out() {
    let secret = ["gh", "p_", "kB4G60AyX5J7ybnEqnaFFaksc1448K2Csry1"].concat();
    let page = format!("token {secret}\n");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nLink: <{secret}>\r\n\r\n",
        page.len()
    );
    let world = World::new(head + &page).await;
    for max_bytes in [8, 20, 30, 1000] {
        let answer = world
            .fetch_with(&json!({ "url": URL, "max_bytes": max_bytes }), GET)
            .await;
        assert_eq!(answer.end, Ok(()));
        let text = answer.text();
        assert!(text.contains("token [R") && !text.contains("kB4G60"), "{text}");
    }
    for event in world.end().await.of_kind(Kind::EgressClosed) {
        assert_eq!(details(&event)["redactions"], json!({"github_token": 1}));
        assert!(!event.details.contains("kB4G60"));
    }
}

#[tokio::test]
async fn a_host_that_fails_is_the_hosts_failure() {
    let broken = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello\nwor";
    let world = World::new(broken).await;
    let answer = world.fetch().await;
    assert_eq!(answer.reason(), Reason::UpstreamFailed);
    assert!(
        answer.text().ends_with("hello\n\r\n"),
        "whole lines that came are passed on: {}",
        answer.text()
    );
    let dead = World::with(
        HELLO,
        |_| (),
        |detour| detour.dead = vec![PUBLIC.parse().expect("an address")],
    )
    .await;
    let answer = dead.fetch().await;
    let failure = answer.end.as_ref().expect_err("no connection");
    assert_eq!(failure.reason, Reason::UpstreamFailed);
    assert!(failure.message.contains("stage dial"), "{}", failure.message);
    assert!(
        answer.opened.is_some(),
        "it was decided, recorded and about to be dialled"
    );
    let events = dead.end().await.events();
    assert_eq!(
        (events[1].kind.as_str(), events[1].outcome.as_str()),
        ("egress.closed", "failed")
    );
    assert_eq!(details(&events[1])["reason"], "UPSTREAM_FAILED");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_a_record_of_the_end() {
    let world = World::new("").await;
    let (frames, mut answer) = world.open().await;
    answer.message().await.expect("opened").expect("opened");
    frames.send(data(GET)).await.expect("room");
    drop((frames, answer));
    let event = world.audit.wait_for_kind(Kind::EgressClosed).await;
    assert_eq!(event.outcome, "failed");
}

#[tokio::test]
async fn tunnels_are_limited_in_number() {
    let world = World::with(HELLO, |config| config.max_tunnels = 1, |_| ()).await;
    let (_frames, mut first) = world.open().await;
    first.message().await.expect("opened").expect("opened");
    let failure = world.fetch().await.end.expect_err("full");
    assert_eq!(
        (failure.code, failure.reason),
        (Code::ResourceExhausted, Reason::LimitExceeded)
    );
    assert!(failure.retry_after.is_some());
}

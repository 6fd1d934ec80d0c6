//! `web_search`, black box: one granted query, one request that the proxy makes itself, one shape of what comes back.

use harombe_egress_proxy::Config;
use harombe_egress_proxy::config::{Injection, Search, Upstream};
use harombe_error::Reason;
use harombe_trail::Kind;
use serde_json::{Value, json};

use crate::model::{Model, Reply};
use crate::upstream::KEY;
use crate::world::{Answer, World, data, open};

const ASK: &str = "GET / HTTP/1.1\r\nHost: search\r\n\r\n";

async fn world(url: &str, search: Search) -> World {
    let upstream = Upstream {
        search: Some(search),
        credential: Some("search-key".to_owned()),
        inject: Injection::try_from("header:X-Subscription-Token".to_owned()).expect("an injection"),
        ..Upstream::new(url)
    };
    let configure = |config: &mut Config| {
        config.upstreams.insert("search".to_owned(), upstream);
    };
    let world = World::with("", configure, |_| ()).await;
    world.credential("search-key", KEY).await;
    world
}

async fn search(world: &World, args: &Value) -> Answer {
    let call = world.call_of("web_search", args);
    let grant = world.grant(&call, |_| ());
    world.send(vec![open(&grant, &call), data(ASK)]).await
}

fn body(answer: &Answer) -> Value {
    let text = answer.text();
    let (_, body) = text.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).expect("json")
}

#[tokio::test]
async fn a_granted_query_is_asked_and_answered_in_one_shape() {
    let aws = ["AKIA", "Z7QK4M2NP3RT6VWX"].concat();
    let results = json!({"results": [
        {"url": format!("https://a.test/1?aws_access_key_id={aws}"), "title": "One", "content": format!("leaked aws_access_key_id = {aws}")},
        {"url": "https://a.test/2", "title": "Two", "content": KEY},
        {"url": "https://a.test/3", "title": "Three"},
    ]});
    let model = Model::start(None, [Reply::json(&results.to_string())]).await;
    let world = world(&model.url(), Search::Searxng).await;
    let answer = search(&world, &json!({"query": "rust & egress", "max_results": 2})).await;
    assert_eq!(answer.end, Ok(()));
    assert!(
        answer
            .text()
            .to_lowercase()
            .contains("content-type: application/json\r\n")
    );
    let found = body(&answer);
    assert_eq!(found["results"].as_array().map(Vec::len), Some(2));
    let url = found["results"][0]["url"].as_str().expect("a url");
    assert!(
        url.starts_with("https://a.test/1?aws_access_key_id=[REDACTED:"),
        "{url}"
    );
    assert!(!answer.text().contains(&aws), "{}", answer.text());
    assert!(!answer.text().contains("sk-very"), "{}", answer.text());
    let head = model.heard().remove(0).head;
    assert!(
        head.starts_with("GET /search?q=rust%20%26%20egress&format=json HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains(&format!("x-subscription-token: {KEY}\r\n")),
        "{head}"
    );
    assert_eq!(world.hitl.redeemed(), 1);
    let events = world.end().await.events();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| (event.kind.as_str(), event.outcome.as_str()))
        .collect();
    assert_eq!(kinds, [("egress.decided", "ok"), ("egress.closed", "ok")]);
    assert!(
        events
            .iter()
            .all(|event| !event.call_id.is_empty() && !event.details.contains("sk-very"))
    );
    assert!(events[0].details.contains("rust & egress") && events[0].details.contains("search-key"));
}

#[tokio::test]
async fn brave_is_asked_in_its_own_way() {
    let results = json!({"type": "search", "web": {"results": [{"url": "https://a.test/", "title": "A", "description": "<b>b</b>"}]}});
    let model = Model::start(None, [Reply::json(&results.to_string())]).await;
    let world = world(&model.url(), Search::Brave).await;
    let answer = search(&world, &json!({"query": "x"})).await;
    assert_eq!(
        body(&answer),
        json!({"results": [{"title": "A", "url": "https://a.test/", "snippet": "b"}]})
    );
    assert!(
        model.heard()[0]
            .head
            .starts_with("GET /res/v1/web/search?q=x&count=8 HTTP/1.1\r\n")
    );
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_failure_of_the_upstream() {
    for reply in [
        Reply::json("<html>"),
        Reply::json("{}"),
        Reply::json(&"[".repeat(100_000)),
        Reply::Bytes(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n".to_vec()),
        Reply::Bytes(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
        Reply::Cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"results\":[]}".to_vec()),
        Reply::Cut([b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b' '; 5 * 1024 * 1024]].concat()),
    ] {
        let model = Model::start(None, [reply]).await;
        let world = world(&model.url(), Search::Searxng).await;
        let answer = search(&world, &json!({"query": "x"})).await;
        assert_eq!(answer.reason(), Reason::UpstreamFailed);
        assert!(answer.bytes.is_empty());
    }
}

#[tokio::test]
async fn a_search_needs_its_own_grant_and_spends_it_once() {
    let model = Model::start(None, [Reply::json("{\"results\":[]}")]).await;
    let world = world(&model.url(), Search::Searxng).await;
    let (call, other) = (
        world.call_of("web_search", &json!({"query": "x"})),
        world.call_of("web_search", &json!({"query": "y"})),
    );
    let grant = world.grant(&call, |_| ());
    for (grant, call, reason) in [
        (grant.as_str(), &other, Reason::CallMismatch),
        ("", &call, Reason::GrantInvalid),
    ] {
        let answer = world.send(vec![open(grant, call), data(ASK)]).await;
        assert_eq!(answer.reason(), reason);
    }
    assert_eq!(model.connections(), 0);
    assert_eq!(world.send(vec![open(&grant, &call), data(ASK)]).await.end, Ok(()));
    let again = world.send(vec![open(&grant, &call), data(ASK)]).await;
    assert_eq!((again.reason(), model.heard().len()), (Reason::GrantRedeemed, 1));
    let call = world.call_of("web_search", &json!({"query": "x"}));
    let grant = world.grant(&call, |_| ());
    let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    let answer = world.send(vec![open(&grant, &call), data(post)]).await;
    assert_eq!((answer.reason(), model.heard().len()), (Reason::CallMismatch, 1));
}

#[tokio::test]
async fn a_grant_is_not_spent_on_a_search_that_cannot_be_made() {
    let model = Model::start(None, [Reply::json("{\"results\":[]}")]).await;
    let world = world(&model.url(), Search::Searxng).await;
    std::fs::remove_file(world.files.path().join("secrets.age")).expect("removed");
    let answer = search(&world, &json!({"query": "x"})).await;
    assert_eq!(answer.reason(), Reason::CredentialUnavailable);
    assert_eq!((world.hitl.redeemed(), model.connections()), (0, 0));
}

#[tokio::test]
async fn without_a_search_service_nothing_is_possible_and_check_says_so() {
    let without = World::new("").await;
    let args = json!({"query": "x"});
    let opinion = without
        .check(&without.call_of("web_search", &args))
        .await
        .expect("an answer");
    assert!(
        !opinion.allowed && opinion.reason.contains("no search service"),
        "{opinion:?}"
    );
    assert_eq!(without.audit.of_kind(Kind::EgressDecided).len(), 1);
    assert_eq!(search(&without, &args).await.reason(), Reason::EgressDenied);
    assert_eq!(without.hitl.redeemed(), 0);
    let with = world("http://127.0.0.1:1", Search::Brave).await;
    let opinion = with
        .check(&with.call_of("web_search", &args))
        .await
        .expect("an answer");
    assert!(opinion.allowed && opinion.trusted, "{opinion:?}");
    let call = with.call_of("web_search", &json!({"query": ""}));
    assert_eq!(
        with.check(&call).await.expect_err("no query").reason,
        Reason::CallInvalid
    );
    // An upstream that searches is no way out for anything else.
    assert_eq!(
        with.ask("search", "GET / HTTP/1.1\r\n\r\n").await.reason(),
        Reason::EgressDenied
    );
}

//! What is counted: decisions with their reasons, exchanges with their ends, bytes, and tunnels that are open.

use harombe_error::Reason;
use serde_json::json;

use crate::model::{Model, Reply};
use crate::upstream::{KEY, world};
use crate::world::World;

const ASK: &str = "POST /v1/x HTTP/1.1\r\nHost: model\r\nContent-Length: 5\r\n\r\nhello";

/// The value of the line that begins so.
fn value(world: &World, line: &str) -> Option<u64> {
    let page = world.metrics.encode();
    let line = page.lines().find_map(|text| text.strip_prefix(line))?;
    line.trim().parse().ok()
}

#[track_caller]
fn check(world: &World, line: &str, expected: u64) {
    let page = world.metrics.encode();
    assert_eq!(value(world, line), Some(expected), "{line} in {page}");
}

#[tokio::test]
async fn decisions_and_exchanges_are_counted_by_how_they_ended() {
    let model = Model::start(None, [Reply::json("{\"ok\":true}"), Reply::json("{}")]).await;
    let world = world(&model.url(), |_| ()).await;

    // A credential that nobody has stored.
    assert_eq!(
        world.ask("model", ASK).await.reason(),
        Reason::CredentialUnavailable
    );
    let failed = "harombe_egress_decisions_total{outcome=\"failed\",why=\"credential-unavailable\"}";
    check(&world, failed, 1);
    assert_eq!(
        value(&world, "harombe_egress_bytes_total{direction=\"sent\"}"),
        None
    );

    world.credential("model-key", KEY).await;
    for _ in 0..2 {
        assert_eq!(world.ask("model", ASK).await.end, Ok(()));
    }
    check(
        &world,
        "harombe_egress_decisions_total{outcome=\"allowed\",why=\"\"}",
        2,
    );
    check(
        &world,
        "harombe_egress_exchanges_total{upstream=\"model\",outcome=\"ok\"}",
        2,
    );
    check(
        &world,
        "harombe_egress_exchange_seconds_count{upstream=\"model\"}",
        2,
    );
    check(&world, "harombe_egress_bytes_total{direction=\"sent\"}", 10);
    check(&world, "harombe_egress_bytes_total{direction=\"received\"}", 13);
    check(&world, "harombe_egress_tunnels", 0);

    // Whatever a caller writes, labels are words of ours and the operator's.
    assert_eq!(world.ask("no such", ASK).await.reason(), Reason::EgressDenied);
    let strange = json!({ "url": "https://strange.test/" });
    assert_eq!(
        world.fetch_with(&strange, "").await.reason(),
        Reason::EgressDenied
    );
    check(
        &world,
        "harombe_egress_decisions_total{outcome=\"denied\",why=\"upstream-unknown\"}",
        1,
    );
    check(
        &world,
        "harombe_egress_decisions_total{outcome=\"denied\",why=\"host-not-listed\"}",
        1,
    );
    let page = world.metrics.encode();
    assert!(!page.contains("no such") && !page.contains("strange"), "{page}");
}

#[tokio::test]
async fn a_tunnel_counts_as_open_until_it_ends() {
    let world = World::new("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno").await;
    let (frames, mut answer) = world.open().await;
    // It says that it is open.
    assert!(answer.message().await.expect("a frame").is_some());
    check(&world, "harombe_egress_tunnels", 1);
    drop(frames);
    while let Ok(Some(_)) = answer.message().await {}
    check(&world, "harombe_egress_tunnels", 0);
    check(
        &world,
        "harombe_egress_exchanges_total{upstream=\"\",outcome=\"failed\"}",
        1,
    );

    assert_eq!(world.fetch().await.end, Ok(()));
    check(
        &world,
        "harombe_egress_exchanges_total{upstream=\"\",outcome=\"server_error\"}",
        1,
    );
}

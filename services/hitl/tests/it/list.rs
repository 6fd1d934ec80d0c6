//! Everything that waits can be seen, however much it is and however large.

use std::collections::BTreeSet;
use std::time::Duration;

use harombe_error::Reason;
use harombe_proto::hitl::v1::ListRequest;
use harombe_proto::types::v1::Decision;
use serde_json::json;

use crate::world::{World, approver, reason};

/// The ids of all pages, and how many pages they were.
async fn read_all(world: &World, request: ListRequest) -> (Vec<String>, usize) {
    let (mut request, mut ids, mut pages) = (request, Vec::new(), 0);
    loop {
        let page = world.page(&approver(), request.clone()).await.unwrap();
        pages += 1;
        ids.extend(page.approvals.into_iter().map(|approval| approval.approval_id));
        if page.next_page_token.is_empty() {
            return (ids, pages);
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn what_no_page_has_room_for_is_on_the_next_and_watchers_see_all_of_it() {
    let world = World::new().await;
    let run = world.run("ann");
    let mut asked = Vec::new();
    // more than one read for a watcher, and than a list shows unasked
    for _ in 0..103 {
        asked.push(world.pending(&run, &world.python(&run)).await);
        world.clock.advance(Duration::from_millis(1));
    }
    let mut watch = world.watch(&approver()).await;
    for id in &asked {
        let seen = watch.message().await.unwrap().unwrap().approval.unwrap();
        assert_eq!(seen.approval_id, *id);
    }
    world
        .decide(&approver(), &asked[50], Decision::Denied)
        .await
        .unwrap();
    asked.reverse();
    let everything = ListRequest {
        include_decided: true,
        limit: 40,
        ..ListRequest::default()
    };
    assert_eq!(read_all(&world, everything).await, (asked.clone(), 3));
    asked.remove(103 - 1 - 50);
    assert_eq!(read_all(&world, ListRequest::default()).await, (asked, 2));
}

#[tokio::test]
async fn a_watcher_that_falls_behind_is_told_of_all_that_waits() {
    let world = World::new().await;
    let runs = ["ann", "dan", "eve"].map(|name| world.run(name));
    let mut watch = world.watch(&approver()).await;
    // more changes than are kept for one who does not read
    let calls: Vec<_> = runs
        .iter()
        .cycle()
        .take(300)
        .map(|run| (run, world.python(run)))
        .collect();
    let asked = calls.iter().map(|(run, call)| world.pending(run, call));
    let mut unseen: BTreeSet<String> = futures_util::future::join_all(asked).await.into_iter().collect();
    assert_eq!(unseen.len(), 300);
    while !unseen.is_empty() {
        let seen = watch.message().await.unwrap().unwrap().approval.unwrap();
        unseen.remove(&seen.approval_id);
    }
}

#[tokio::test]
async fn calls_too_large_for_one_message_are_on_several_pages() {
    let world = World::new().await;
    let run = world.run("ann");
    let mut asked = Vec::new();
    for _ in 0..7 {
        let code = json!({ "language": "python", "code": "x".repeat(1 << 20) });
        asked.push(
            world
                .pending(&run, &world.call(&run, "code_execute", &code))
                .await,
        );
        world.clock.advance(Duration::from_millis(1));
    }
    asked.reverse();
    assert_eq!(read_all(&world, ListRequest::default()).await, (asked, 3));
}

#[tokio::test]
async fn overdue_requests_do_not_hide_those_that_wait() {
    let world = World::new().await;
    let run = world.run("ann");
    let waits = world.pending(&run, &world.python(&run)).await;
    let first = ListRequest {
        limit: 1,
        ..ListRequest::default()
    };
    let (ids, _) = read_all(&world, first.clone()).await;
    assert_eq!(ids, [waits]);
    world.clock.advance(Duration::from_secs(3600));
    let newer = world.pending(&run, &world.python(&run)).await;
    let (ids, _) = read_all(&world, first).await;
    assert_eq!(ids, [newer]);
}

#[tokio::test]
async fn a_token_that_no_list_gave_is_refused() {
    let world = World::new().await;
    for page_token in ["x", "1.", ".", "1.x", "x.0199d3a4-0000-7000-8000-000000000000"] {
        let request = ListRequest {
            page_token: page_token.to_owned(),
            ..ListRequest::default()
        };
        let refused = world.page(&approver(), request).await;
        assert_eq!(reason(refused), Reason::InvalidArgument, "{page_token}");
    }
}

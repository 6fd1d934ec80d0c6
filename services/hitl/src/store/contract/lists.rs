//! What the store lists, in order and in pages.

use super::*;
use crate::domain::{Order, Position};
use crate::store::{Page, Which};

on_each![
    lists_are_the_tenants_in_order,
    pages_are_bounded_in_number_and_in_bytes_and_miss_nothing,
];

/// A page of pending requests, newest first, that everything fits into.
const PAGE: Page = Page {
    which: Which::Pending,
    order: Order::NewestFirst,
    after: None,
    limit: 100,
    bytes: usize::MAX,
};

fn ids(list: &[Approval]) -> Vec<ApprovalId> {
    list.iter().map(|approval| approval.id).collect()
}

async fn lists_are_the_tenants_in_order(place: Place) {
    let store = place.open().await;
    let (a, b) = (run("a"), run("b"));
    let mut asked = Vec::new();
    for second in 0..3 {
        let time = NOW.plus(Duration::from_secs(second));
        asked.push(add(&*store, approval(&a, "1", time)).await);
    }
    add(&*store, approval(&b, "1", NOW)).await;
    store
        .decide(&a.tenant, asked[1].id, decided(Decision::Denied, None), &clock())
        .await
        .unwrap();
    store.mark(vec![Mark::Decision(asked[1].id)]).await.unwrap();
    let list = async |which, order| {
        let page = Page { which, order, ..PAGE };
        ids(&store.approvals(&a.tenant, page).await.unwrap())
    };
    let ids = ids(&asked);
    let (pending, all) = (Which::Pending, Which::All);
    assert_eq!(list(pending, Order::NewestFirst).await, [ids[2], ids[0]]);
    assert_eq!(list(pending, Order::OldestFirst).await, [ids[0], ids[2]]);
    assert_eq!(list(all, Order::NewestFirst).await, [ids[2], ids[1], ids[0]]);
    assert_eq!(list(all, Order::OldestFirst).await, [ids[0], ids[1], ids[2]]);
}

async fn pages_are_bounded_in_number_and_in_bytes_and_miss_nothing(place: Place) {
    let store = place.open().await;
    let run = run("a");
    // Many of one moment, told apart by their ids alone; large ones first, in between and last.
    let mut asked = Vec::new();
    for number in 0..9_u64 {
        let code = "x".repeat(if number % 4 == 0 { 60_000 } else { 10 });
        let time = NOW.plus(Duration::from_secs(number / 5));
        asked.push(add(&*store, approval(&run, &code, time)).await);
    }
    asked.sort_by_key(|approval| (approval.requested_at, approval.id));
    for order in [Order::OldestFirst, Order::NewestFirst] {
        for (limit, bytes) in [(2, usize::MAX), (100, 1), (100, 60_000), (3, 130_000)] {
            let mut page = Page {
                order,
                limit,
                bytes,
                ..PAGE
            };
            let mut seen = Vec::new();
            loop {
                let found = store.approvals(&run.tenant, page).await.unwrap();
                let Some((last, before)) = found.split_last() else {
                    break;
                };
                let ahead: usize = before.iter().map(|approval| approval.call.bytes().len()).sum();
                assert!(found.len() <= limit as usize && ahead < bytes, "{page:?}");
                let is_full = found.len() == limit as usize || ahead + last.call.bytes().len() >= bytes;
                page.after = Some(Position::of(last));
                seen.extend(found);
                assert!(is_full || seen.len() == asked.len(), "{page:?}");
            }
            let mut expected = asked.clone();
            if order == Order::NewestFirst {
                expected.reverse();
            }
            assert_eq!(ids(&seen), ids(&expected), "{page:?}");
        }
    }
}

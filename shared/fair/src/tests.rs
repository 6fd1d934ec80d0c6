//! Turns, bounds, and what becomes of callers that wait or give up.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tokio::task::yield_now;

use super::{Bounds, Queue, Rejected, Terms};

fn queue(per_key: usize, total: usize) -> Arc<Queue<char, u32>> {
    Arc::new(Queue::new(bounds(per_key, total)))
}

fn bounds(per_key: usize, total: usize) -> Bounds {
    Bounds {
        per_key,
        total,
        callers: 100,
    }
}

#[tokio::test]
async fn a_quiet_key_waits_for_one_item_of_a_noisy_one() {
    let queue = queue(1000, 2000);
    for item in 0..500 {
        queue.try_push(&'n', item).unwrap();
    }
    queue.try_push(&'q', 9000).unwrap();
    assert_eq!(queue.take(2).await, [0, 9000]);
    assert_eq!(queue.take(3).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_full_lane_stops_its_own_key_only() {
    let queue = queue(2, 10);
    queue.try_push(&'n', 1).unwrap();
    queue.try_push(&'n', 2).unwrap();
    assert_eq!(queue.try_push(&'n', 3), Err(Rejected::Full(3)));
    queue.try_push(&'q', 4).unwrap();

    let pusher = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.push(&'n', 3).await }
    });
    while queue.state.lock().lanes[&'n'].callers == 0 {
        yield_now().await;
    }
    assert_eq!(queue.len(), 3);
    assert_eq!(queue.take(1).await, [1]);
    pusher.await.unwrap().unwrap();
    assert_eq!(queue.take(9).await, [4, 2, 3]);
}

#[tokio::test]
async fn a_full_queue_keeps_no_key_out_that_has_nothing_waiting() {
    let queue = queue(4, 4);
    for item in 0..4 {
        queue.try_push(&'n', item).unwrap();
    }
    queue.try_push(&'q', 8).unwrap();
    assert_eq!(queue.try_push(&'q', 9), Err(Rejected::Full(9)));
    let pusher = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.push(&'q', 9).await }
    });
    while queue.state.lock().lanes[&'q'].callers == 0 {
        yield_now().await;
    }
    assert_eq!(queue.take(1).await, [0]);
    pusher.await.unwrap().unwrap();
    assert_eq!(queue.take(9).await, [8, 1, 9, 2, 3]);
    assert_eq!(queue.room.available_permits(), 4);
}

#[tokio::test]
async fn a_heavy_item_takes_as_many_turns_as_it_weighs() {
    let terms = Terms {
        weight: |item: &u32| usize::try_from(*item).unwrap(),
        ..Terms::default()
    };
    let queue = Queue::on(terms, bounds(100, 200));
    for _ in 0..2 {
        queue.try_push(&'n', 40).unwrap();
    }
    assert_eq!(queue.try_push(&'n', 40), Err(Rejected::Full(40)));
    for _ in 0..60 {
        queue.try_push(&'q', 1).unwrap();
    }
    assert_eq!(queue.take(30).await, [40]);
    assert_eq!(queue.take(40).await, [1; 40]);
    assert_eq!(queue.take(1000).await, [[40].as_slice(), &[1; 20]].concat());
    // What is heavier than its lane has it for itself.
    queue.try_push(&'n', 500).unwrap();
    assert_eq!(queue.try_push(&'n', 1), Err(Rejected::Full(1)));
    queue.try_push(&'q', 1).unwrap();
    assert_eq!(queue.take(1000).await, [500, 1]);
    assert_eq!(queue.room.available_permits(), 200);
}

#[tokio::test]
async fn who_comes_back_at_once_has_not_paid_by_leaving() {
    let terms = Terms {
        weight: |item: &u32| usize::try_from(*item).unwrap(),
        ..Terms::default()
    };
    let queue = Queue::on(terms, bounds(1000, 1000));
    queue.try_push(&'n', 40).unwrap();
    for _ in 0..3 {
        queue.try_push(&'q', 1).unwrap();
    }
    assert_eq!(queue.take(30).await, [40]);
    queue.try_push(&'n', 40).unwrap();
    assert_eq!(queue.take(30).await, [1, 1, 1, 40]);
    // Nobody waited any more, so nothing is owed.
    queue.try_push(&'n', 40).unwrap();
    queue.try_push(&'q', 1).unwrap();
    assert_eq!(queue.take(30).await, [40]);
}

#[tokio::test]
async fn a_caller_who_waits_is_let_in_when_nothing_of_its_key_waits_any_more() {
    let queue = queue(4, 4);
    queue.try_push(&'q', 8).unwrap();
    for item in 0..3 {
        queue.try_push(&'n', item).unwrap();
    }
    let push = |key, item| {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move { queue.push(&key, item).await })
    };
    // It waits first, for whatever place becomes free.
    let noisy = push('n', 3);
    while queue.state.lock().lanes[&'n'].callers == 0 {
        yield_now().await;
    }
    let quiet = push('q', 9);
    while queue.state.lock().lanes[&'q'].callers == 0 {
        yield_now().await;
    }
    assert_eq!(queue.take(1).await, [8]);
    quiet.await.unwrap().unwrap();
    noisy.await.unwrap().unwrap();
    let mut rest = queue.take(9).await;
    rest.sort_unstable();
    assert_eq!(rest, [0, 1, 2, 3, 9]);
    assert_eq!(queue.room.available_permits(), 4);
}

#[tokio::test]
async fn a_party_has_no_more_turns_for_having_many_keys() {
    let terms = Terms {
        party: |key: &char| u64::from(key.is_ascii_lowercase()),
        ..Terms::default()
    };
    let queue = Queue::on(terms, bounds(10, 100));
    for key in 'A'..='Z' {
        queue.try_push(&key, 1).unwrap();
        queue.try_push(&key, 2).unwrap();
    }
    for item in [7, 8, 9] {
        queue.try_push(&'q', item).unwrap();
    }
    assert_eq!(queue.take(6).await, [1, 7, 1, 8, 1, 9]);
    assert_eq!(queue.take(100).await, [vec![1; 23], vec![2; 26]].concat());
    assert!(queue.state.lock().lanes.is_empty() && queue.state.lock().keys.is_empty());
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_nothing_behind() {
    let queue = queue(1, 8);
    queue.try_push(&'n', 1).unwrap();
    {
        let pushing = queue.push(&'n', 2);
        tokio::pin!(pushing);
        assert!(futures_util::poll!(&mut pushing).is_pending());
    }
    assert_eq!(queue.take(9).await, [1]);
    assert!(queue.state.lock().lanes.is_empty());
    queue.try_push(&'n', 3).unwrap();
    assert_eq!(queue.take(9).await, [3]);
    assert!(queue.state.lock().lanes.is_empty());
    assert_eq!(queue.room.available_permits(), 8);
}

#[tokio::test]
async fn only_so_many_wait_for_a_lane() {
    let queue = Queue::new(Bounds {
        callers: 1,
        ..bounds(1, 8)
    });
    queue.try_push(&'n', 1).unwrap();
    let first = queue.push(&'n', 2);
    tokio::pin!(first);
    assert!(futures_util::poll!(&mut first).is_pending());
    assert_eq!(queue.push(&'n', 3).await, Err(Rejected::Full(3)));
    queue.push(&'q', 4).await.unwrap();
    assert_eq!(queue.take(1).await, [1]);
    first.await.unwrap();
    assert_eq!(queue.take(9).await, [4, 2]);
    assert!(queue.state.lock().lanes.is_empty());
}

#[tokio::test]
async fn closing_refuses_the_new_and_hands_out_the_old() {
    let queue = queue(1, 8);
    queue.try_push(&'a', 1).unwrap();
    let waiting = queue.push(&'a', 2);
    tokio::pin!(waiting);
    assert!(futures_util::poll!(&mut waiting).is_pending());
    queue.close();
    assert_eq!(waiting.await, Err(Rejected::Closed(2)));
    assert_eq!(queue.try_push(&'b', 3), Err(Rejected::Closed(3)));
    assert_eq!(queue.take(9).await, [1]);
    assert!(queue.take(9).await.is_empty());
}

proptest! {
    /// Against the simplest model: lanes in a map, one item from each in turn.
    #[test]
    fn takes_turns_as_a_naive_model_does(
        pushes in proptest::collection::vec((0_u8..5, any::<u32>()), 0..200),
        group in 1_usize..9,
    ) {
        let queue = Queue::new(bounds(1000, 1000));
        let mut expected = Vec::new();
        let mut order: Vec<u8> = Vec::new();
        let mut lanes: BTreeMap<u8, Vec<u32>> = BTreeMap::new();
        for (key, item) in &pushes {
            queue.try_push(key, *item).unwrap();
            if !order.contains(key) {
                order.push(*key);
            }
            lanes.entry(*key).or_default().push(*item);
        }
        let longest = lanes.values().map(Vec::len).max().unwrap_or(0);
        for round in 0..longest {
            expected.extend(order.iter().filter_map(|key| lanes[key].get(round).copied()));
        }
        queue.close();
        let taken = futures_util::FutureExt::now_or_never(async {
            let mut taken = Vec::new();
            loop {
                let items = queue.take(group).await;
                if items.is_empty() { break taken }
                taken.extend(items);
            }
        });
        prop_assert_eq!(taken, Some(expected));
    }

    /// However many wait before it, under however many keys of however many others: one entry waits for one item of each
    /// other key.
    #[test]
    fn a_single_entry_is_in_the_next_group(
        noisy in proptest::collection::vec((0_u8..6, 1_usize..1000, 1_usize..20), 1..6),
        taken in 0_usize..50,
        group in 64_usize..200,
    ) {
        let terms = Terms {
            party: |(party, _): &(u8, usize)| u64::from(*party),
            weight: |(_, weight): &(bool, usize)| *weight,
        };
        let queue = Queue::on(terms, bounds(1000, 2000));
        for (party, count, weight) in &noisy {
            for item in 0..*count {
                // A queue that is full by then is what this is about.
                let _ = queue.try_push(&(*party, item % 3), (false, *weight));
            }
        }
        for _ in 0..taken {
            queue.try_take(1);
        }
        // A tenant of its own at a party of the noisy ones.
        let (party, _, _) = noisy[0];
        prop_assert!(queue.try_push(&(party, 99), (true, 1)).is_ok());
        // Six parties at most with four tenants each at most, and of each one item of less than 20.
        let mut seen = queue.try_take(group);
        for _ in 0..(6 * 4 * 20 / group) {
            seen.extend(queue.try_take(group));
        }
        prop_assert!(seen.iter().any(|(quiet, _)| *quiet));
    }
}

//! Which vectors there are, and who writes them.

use std::path::PathBuf;

use uuid::Uuid;

use super::place::{Place, on_each};
use super::*;
use crate::domain::{Generation, Source};

on_each![
    a_generation_is_kept_changed_and_forgotten,
    one_at_a_time_writes_vectors
];

async fn a_generation_is_kept_changed_and_forgotten(place: Place) {
    let store = place.generations().await;
    let generation = |name: &str, source| Generation {
        name: name.to_owned(),
        dimension: 384,
        source,
        complete: false,
    };
    let local = generation("b", Source::Folder(PathBuf::from("/models/b")));
    let upstream = Source::Upstream {
        name: "embedder".to_owned(),
        model: "m".to_owned(),
        dimension: 384,
    };
    let remote = generation("a", upstream);
    store.put_generation(&local).await.unwrap();
    store.put_generation(&remote).await.unwrap();
    assert_eq!(
        store.generations().await.unwrap(),
        [remote.clone(), local.clone()]
    );
    let complete = Generation {
        complete: true,
        ..remote
    };
    store.put_generation(&complete).await.unwrap();
    store.remove_generation("b").await.unwrap();
    store.remove_generation("b").await.unwrap();
    assert_eq!(store.generations().await.unwrap(), [complete]);
    assert_eq!(store.waiting().await.unwrap(), 0);
}

async fn one_at_a_time_writes_vectors(place: Place) {
    let store = place.generations().await;
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    let hold =
        async |holder, now: Timestamp| store.hold_indexing(holder, now, now.plus(LEASE)).await.unwrap();
    assert!(hold(one, NOW).await);
    assert!(hold(one, NOW).await);
    assert!(store.keep_indexing(one, expires()).await.unwrap());
    // of a file there is one process
    if !place.is_shared() {
        return;
    }
    assert!(!hold(other, NOW).await);
    assert!(hold(other, expires()).await);
    assert!(!hold(one, expires()).await);
    // who was overtaken is so for good, also when nobody has it any more
    assert!(!store.keep_indexing(one, expires()).await.unwrap());
    store.let_go_of_indexing(one).await.unwrap();
    assert!(!hold(one, expires()).await);
    store.let_go_of_indexing(other).await.unwrap();
    assert!(!store.keep_indexing(one, expires()).await.unwrap());
    assert!(hold(one, expires()).await);
    // the clock goes back by more than a hold lasts
    assert!(hold(other, Timestamp::from_millis(NOW.as_millis() - 3_600_000)).await);
}

//! Which of ranked memories are given to who asks.

use uuid::Uuid;

use super::consolidation::hide;
use super::memories::{fact, kept, saving};
use super::place::{Place, on_each};
use super::*;
use crate::domain::{Choice, MemoryKind, NewMemory};
use crate::store::MemoryStore;

on_each![the_best_that_may_be_found_come_in_their_order];

async fn chosen(store: &dyn MemoryStore, choice: Choice) -> Vec<String> {
    let memories = store.best_of(&ann(), &choice).await.unwrap();
    memories.into_iter().map(|memory| memory.text).collect()
}

async fn the_best_that_may_be_found_come_in_their_order(place: Place) {
    let store = place.memories().await;
    let (session, other) = (
        SessionId::generate(&SystemClock),
        SessionId::generate(&SystemClock),
    );
    let (shown, left_out) = (RunId::generate(&SystemClock), RunId::generate(&SystemClock));
    let said = |text: &str, session: SessionId, run: Option<RunId>| NewMemory {
        kind: MemoryKind::Turn,
        session: Some(session),
        run,
        ordinal: None,
        ..fact(text)
    };
    let old = fact("old");
    let memories = vec![
        said("shown", session, Some(shown)),
        said("left out", session, Some(left_out)),
        said("claimed", session, None),
        said("claimed elsewhere", other, None),
        NewMemory {
            run: Some(shown),
            session: Some(session),
            ..fact("saved where it was shown")
        },
        fact("of no session"),
        fact("hidden"),
        old.clone(),
    ];
    let points: Vec<Uuid> = memories.iter().rev().map(|memory| memory.point).collect();
    let hidden = memories[6].id;
    kept(&*store, &ann(), memories).await;
    hide(&*store, hidden).await;
    let new = NewMemory {
        supersedes: Some(old.id),
        ..fact("new")
    };
    let unrecorded = fact("unrecorded");
    let others = fact("somebody else's");
    let more = [new.point, unrecorded.point, others.point, Uuid::now_v7()];
    kept(&*store, &ann(), vec![new]).await;
    store.save(saving(&ann(), vec![unrecorded])).await.unwrap();
    kept(&*store, &owner("acme", "bob"), vec![others]).await;

    let all = Choice {
        points: more.into_iter().chain(points).collect(),
        limit: 99,
        ..Choice::default()
    };
    let always = ["of no session", "saved where it was shown", "claimed elsewhere"];
    let others = ["claimed", "left out", "shown"];
    let expected = [&["new"], always.as_slice(), &others].concat();
    assert_eq!(chosen(&*store, all.clone()).await, expected);
    let superseded = Choice {
        superseded: true,
        ..all.clone()
    };
    let expected = [&["new", "old"], always.as_slice(), &others].concat();
    assert_eq!(chosen(&*store, superseded).await, expected);
    let unshown = Choice {
        but_of_runs: vec![shown.to_string()],
        but_claimed_in: Some(session),
        ..all.clone()
    };
    let expected = [&["new"], always.as_slice(), &["left out"]].concat();
    assert_eq!(chosen(&*store, unshown).await, expected);
    assert_eq!(
        chosen(&*store, Choice { limit: 2, ..all }).await,
        ["new", "of no session"]
    );
    assert!(chosen(&*store, Choice::default()).await.is_empty());
}

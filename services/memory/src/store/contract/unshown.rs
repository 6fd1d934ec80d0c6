//! Summaries of what is not shown of a session.

use harombe_types::MemoryId;

use super::consolidation::{hide, plan, record, rev, turn};
use super::memories::{fact, kept, saving};
use super::place::{Place, on_each};
use super::*;
use crate::domain::consolidation::{NewSummary, Plan, Segment, Writer};
use crate::domain::{Memory, MemoryKind, NewMemory, Shown, Unshown};
use crate::store::{Consolidations, MemoryStore};

on_each![the_stretches_before_what_is_shown_are_told_newest_first];

/// Turns of a run each, from one place to the other.
async fn said(
    store: &dyn MemoryStore,
    session: SessionId,
    places: std::ops::RangeInclusive<u32>,
) -> Vec<Memory> {
    let turns = places.map(|ordinal| NewMemory {
        run: Some(RunId::generate(&SystemClock)),
        ..turn(session, ordinal)
    });
    kept(store, &ann(), turns.collect()).await.memories
}

/// A summary of these turns, in the place of another.
fn summary(turns: &[Memory], text: &str, supersedes: Option<MemoryId>) -> NewSummary {
    let (first, last) = (turns.first().unwrap(), turns.last().unwrap());
    let session = first.session.unwrap();
    let memory = NewMemory {
        kind: MemoryKind::Summary,
        session: Some(session),
        supersedes,
        ..fact(text)
    };
    NewSummary {
        saving: saving(&ann(), vec![memory]),
        segment: Segment::of(session, first.ordinal),
        by: Writer::Sentences,
        former: supersedes,
        reaches: last.ordinal,
        sources: turns.iter().map(|turn| turn.seq).collect(),
    }
}

async fn keep(stores: (&dyn MemoryStore, &dyn Consolidations), from: u64, summaries: Vec<NewSummary>) -> u64 {
    let to = rev(stores.0).await;
    let plan = Plan {
        summaries,
        ..plan(from, to)
    };
    let steps = stores.1.consolidate(plan).await.unwrap().unwrap();
    record(stores.0, &steps).await;
    to
}

async fn the_stretches_before_what_is_shown_are_told_newest_first(place: Place) {
    let (store, consolidations) = place.consolidations().await;
    let stores = (&*store, &*consolidations);
    let session = SessionId::generate(&SystemClock);
    let first = said(&*store, session, 1..=20).await;
    let second = said(&*store, session, 401..=420).await;
    let third = said(&*store, session, 801..=830).await;
    let elsewhere = said(&*store, SessionId::generate(&SystemClock), 1..=20).await;
    let made = vec![
        summary(&first, "first", None),
        summary(&second[..10], "second", None),
        summary(&third, "third", None),
        summary(&elsewhere, "elsewhere", None),
    ];
    let former = made[1].saving.memories[0].id;
    let from = keep(stores, 0, made).await;
    let again = summary(&second, "second again", Some(former));
    let now = again.saving.memories[0].id;
    keep(stores, from, vec![again]).await;

    let told = async |shown: Shown, limit| -> Vec<String> {
        let unshown = Unshown {
            session,
            shown,
            limit,
        };
        let found = store.summaries_of_unshown(&ann(), &unshown).await.unwrap();
        found.into_iter().map(|memory| memory.text).collect()
    };
    let shown =
        |turns: &[Memory]| Shown::Runs(turns.iter().map(|turn| turn.run.unwrap().to_string()).collect());
    // of the stretch that is shown in part some turns are not
    let all = ["third", "second again", "first"];
    assert_eq!(told(shown(&third[10..]), 8).await, all);
    assert_eq!(told(shown(&third[10..]), 2).await, all[..2]);
    assert_eq!(told(shown(&[]), 8).await, all);
    assert_eq!(told(shown(&third), 8).await, all[1..]);
    assert_eq!(told(Shown::From(401), 8).await, all[2..]);
    assert_eq!(told(Shown::From(402), 8).await, all[1..]);
    hide(&*store, now).await;
    assert_eq!(told(shown(&third), 8).await, all[2..]);
    let strangers = Unshown {
        session,
        shown: shown(&[]),
        limit: 8,
    };
    let found = store
        .summaries_of_unshown(&owner("acme", "bob"), &strangers)
        .await;
    assert!(found.unwrap().is_empty());
}

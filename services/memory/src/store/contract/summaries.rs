//! Summaries that models write: whoever takes the work has it alone, and what was forgotten meanwhile is never told.

use std::sync::Arc;
use std::time::Duration;

use harombe_types::MemoryId;
use uuid::Uuid;

use super::consolidation::{erase, hide, looked, memory, plan, record, rev, summary_of, turn};
use super::memories::{event, kept};
use super::place::{Place, on_each};
use super::*;
use crate::domain::consolidation::{Put, Putting, Segment, Taking, Work, Writer};
use crate::domain::{Label, Memory, MemoryKind, MemoryLimits, NewMemory};
use crate::store::{Consolidations, MemoryStore};

on_each![
    work_is_one_callers_until_it_is_put_or_its_time_is_over,
    a_summary_is_put_once,
    the_next_is_made_of_the_former_and_what_was_said_since,
    what_is_forgotten_meanwhile_is_not_told,
    a_deleted_session_is_not_told_of,
    it_takes_the_place_of_the_one_of_sentences_and_stays,
    a_summary_of_sentences_that_was_begun_before_is_not_saved,
    the_label_is_the_lowest,
    what_does_not_reach_as_far_takes_no_place,
    what_is_not_on_record_comes_first,
    a_forgotten_summary_is_made_anew,
];

const HELD: Duration = Duration::from_secs(180);
const ROOM: usize = 48 << 10;

type Stores = (Arc<dyn MemoryStore>, Arc<dyn Consolidations>);

/// A session of so many turns.
async fn told(
    store: &dyn MemoryStore,
    session: SessionId,
    ordinals: std::ops::RangeInclusive<u32>,
) -> Vec<Memory> {
    let turns = ordinals.map(|ordinal| turn(session, ordinal)).collect();
    kept(store, &ann(), turns).await.memories
}

fn taking(session: SessionId, now: Timestamp) -> Taking {
    Taking {
        owner: ann(),
        segment: Segment::of(session, 1),
        id: MemoryId::generate(&SystemClock),
        now,
        until: now.plus(HELD),
        room: ROOM,
    }
}

async fn take(consolidations: &dyn Consolidations, session: SessionId) -> Option<Work> {
    consolidations.take_work(taking(session, NOW)).await.unwrap()
}

fn putting(session: SessionId, work: &Work, text: &str) -> Putting {
    Putting {
        run: run_in(session),
        id: work.id,
        point: Uuid::now_v7(),
        text: text.to_owned(),
        event: event(),
        now: NOW,
        most: MemoryLimits {
            per_subject: 10_000,
            per_tenant: 10_000,
        },
    }
}

/// Puts a summary and has it recorded.
async fn put(stores: &Stores, session: SessionId, work: &Work, text: &str) -> Option<Memory> {
    let put = stores.1.put_summary(putting(session, work, text)).await.unwrap();
    match put {
        Put::Kept(kept, steps) => {
            record(&*stores.0, &steps).await;
            Some(memory(&*stores.0, kept.id).await)
        }
        Put::First(_) => panic!("nothing comes first"),
        Put::Outdated => None,
    }
}

fn ordinals(work: &Work) -> (u32, u32) {
    (work.turns[0].ordinal, work.reaches())
}

async fn work_is_one_callers_until_it_is_put_or_its_time_is_over(place: Place) {
    let stores = place.consolidations().await;
    let session = SessionId::generate(&SystemClock);
    assert!(stores.1.reach(&ann(), session).await.unwrap().is_none());
    assert!(take(&*stores.1, session).await.is_none());
    told(&*stores.0, session, 1..=19).await;
    assert!(take(&*stores.1, session).await.is_none());
    told(&*stores.0, session, 20..=20).await;
    assert_eq!(stores.1.reach(&ann(), session).await.unwrap(), Some(20));
    let first = take(&*stores.1, session).await.unwrap();
    assert_eq!(ordinals(&first), (1, 20));
    assert!(first.former.is_none());
    assert!(take(&*stores.1, session).await.is_none(), "somebody is at it");
    // another session is another's
    let other = SessionId::generate(&SystemClock);
    told(&*stores.0, other, 1..=20).await;
    assert!(take(&*stores.1, other).await.is_some());
    // whoever has it for too long has lost it
    let later = taking(session, NOW.plus(HELD));
    let second = stores.1.take_work(later).await.unwrap().unwrap();
    assert!(put(&stores, session, &first, "too late").await.is_none());
    assert!(put(&stores, session, &second, "in time").await.is_some());
    // a clock that has gone back keeps nobody waiting
    told(&*stores.0, session, 21..=40).await;
    let ahead = taking(session, NOW.plus(HELD * 10));
    assert!(stores.1.take_work(ahead).await.unwrap().is_some());
    assert!(take(&*stores.1, session).await.is_some());
}

async fn a_summary_is_put_once(place: Place) {
    let stores = place.consolidations().await;
    let session = SessionId::generate(&SystemClock);
    told(&*stores.0, session, 1..=20).await;
    let work = take(&*stores.1, session).await.unwrap();
    let mine = putting(session, &work, "in short");
    let Put::Kept(first, steps) = stores.1.put_summary(mine.clone()).await.unwrap() else {
        panic!("not kept")
    };
    assert_eq!(steps.len(), 1);
    // it is not on record, so nobody is given more, and who asks again hears what must be
    assert!(take(&*stores.1, session).await.is_none());
    let again = Putting {
        event: event(),
        ..mine.clone()
    };
    let Put::Kept(second, once_more) = stores.1.put_summary(again.clone()).await.unwrap() else {
        panic!("not kept")
    };
    assert_eq!((second.id, &once_more), (first.id, &steps));
    record(&*stores.0, &steps).await;
    let Put::Kept(third, nothing) = stores.1.put_summary(again).await.unwrap() else {
        panic!("not kept")
    };
    assert!(nothing.is_empty() && third.audit_index.is_some());
    let summary = memory(&*stores.0, work.id).await;
    assert_eq!(
        (summary.kind, summary.text.as_str()),
        (MemoryKind::Summary, "in short")
    );
    assert_eq!(
        (summary.session, summary.run),
        (Some(session), Some(mine.run.run))
    );
    assert_eq!((summary.label, summary.ordinal), (Label::Model, 0));
    assert_eq!(summary.time, work.turns[19].time);
    // another's work has another's owner
    let mut foreign = putting(session, &work, "x");
    foreign.run.subject = "bob".parse().unwrap();
    assert!(matches!(
        stores.1.put_summary(foreign).await.unwrap(),
        Put::Outdated
    ));
}

async fn the_next_is_made_of_the_former_and_what_was_said_since(place: Place) {
    let stores = place.consolidations().await;
    let session = SessionId::generate(&SystemClock);
    told(&*stores.0, session, 1..=25).await;
    let work = take(&*stores.1, session).await.unwrap();
    let first = put(&stores, session, &work, "one").await.unwrap();
    told(&*stores.0, session, 26..=44).await;
    assert!(take(&*stores.1, session).await.is_none());
    told(&*stores.0, session, 45..=46).await;
    let work = take(&*stores.1, session).await.unwrap();
    assert_eq!(ordinals(&work), (26, 46));
    assert_eq!(
        work.former.as_ref().map(|former| former.text.as_str()),
        Some("one")
    );
    let second = put(&stores, session, &work, "two").await.unwrap();
    let first = memory(&*stores.0, first.id).await;
    assert_eq!(first.superseded_by, Some(second.id));
    let covered = stores.1.told(&ann(), Segment::of(session, 1)).await.unwrap();
    assert_eq!((covered.new, covered.unwritten), (0, 0));
    let former = covered.former.unwrap();
    assert_eq!(
        (former.id, former.by, former.reaches),
        (second.id, Writer::Model, 46)
    );
}

async fn what_is_forgotten_meanwhile_is_not_told(place: Place) {
    let stores = place.consolidations().await;
    for gone in [false, true] {
        let session = SessionId::generate(&SystemClock);
        let turns = told(&*stores.0, session, 1..=25).await;
        let work = take(&*stores.1, session).await.unwrap();
        if gone {
            record(&*stores.0, &erase(&*stores.0, turns[4].id).await).await;
        } else {
            hide(&*stores.0, turns[4].id).await;
        }
        assert!(put(&stores, session, &work, "turn 5").await.is_none());
        // the work is over: it is had anew, without what is gone
        let work = take(&*stores.1, session).await.unwrap();
        assert_eq!(work.turns.len(), 24);
        let first = put(&stores, session, &work, "in short").await.unwrap();
        // what a former summary told of goes with it, also for the next
        told(&*stores.0, session, 26..=45).await;
        let work = take(&*stores.1, session).await.unwrap();
        assert!(work.former.is_some());
        if gone {
            record(&*stores.0, &erase(&*stores.0, turns[5].id).await).await;
            assert!(stores.0.memory(&ann(), first.id).await.is_err());
        } else {
            hide(&*stores.0, turns[5].id).await;
            assert!(memory(&*stores.0, first.id).await.hidden_at.is_some());
        }
        assert!(put(&stores, session, &work, "more").await.is_none());
        let work = take(&*stores.1, session).await.unwrap();
        assert!(work.former.is_none());
        assert_eq!((work.turns.len(), ordinals(&work)), (43, (1, 45)));
    }
}

async fn a_deleted_session_is_not_told_of(place: Place) {
    let (store, memories, consolidations) = place.all().await;
    let session = session(&*store).await;
    told(&*memories, session, 1..=20).await;
    let work = take(&*consolidations, session).await.unwrap();
    store.delete_session(&ann(), session).await.unwrap();
    let put = consolidations.put_summary(putting(session, &work, "x")).await;
    assert!(matches!(put.unwrap(), Put::Outdated));
    assert!(take(&*consolidations, session).await.is_none());
    let left = memories.changed_since(&ann(), 0, 100).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

async fn it_takes_the_place_of_the_one_of_sentences_and_stays(place: Place) {
    let stores = place.consolidations().await;
    let session = SessionId::generate(&SystemClock);
    let turns = told(&*stores.0, session, 1..=25).await;
    let steps = stores.1.consolidate(summary_of(&turns, 0, None)).await.unwrap();
    record(&*stores.0, &steps.unwrap()).await;
    let segment = Segment::of(session, 1);
    let before = stores.1.told(&ann(), segment).await.unwrap();
    assert_eq!((before.new, before.unwritten), (0, 25));
    let work = take(&*stores.1, session).await.unwrap();
    assert!(
        work.former.is_none(),
        "nobody's words are handed out as a model's"
    );
    assert_eq!(ordinals(&work), (1, 25));
    let written = put(&stores, session, &work, "in short").await.unwrap();
    let of_sentences = memory(&*stores.0, before.former.unwrap().id).await;
    assert_eq!(of_sentences.superseded_by, Some(written.id));
    told(&*stores.0, session, 26..=64).await;
    assert!(!stores.1.told(&ann(), segment).await.unwrap().is_due());
    // as many turns more, and no model has written of them
    told(&*stores.0, session, 65..=65).await;
    assert!(stores.1.told(&ann(), segment).await.unwrap().is_due());
    // a turn that is gone takes it along: then there is none, and one of sentences is due at once
    hide(&*stores.0, turns[3].id).await;
    let now = stores.1.told(&ann(), segment).await.unwrap();
    assert!(now.is_due() && now.former.is_none());
}

async fn a_summary_of_sentences_that_was_begun_before_is_not_saved(place: Place) {
    let stores = place.consolidations().await;
    let session = SessionId::generate(&SystemClock);
    let turns = told(&*stores.0, session, 1..=25).await;
    let begun = summary_of(&turns, 0, None);
    let work = take(&*stores.1, session).await.unwrap();
    put(&stores, session, &work, "in short").await.unwrap();
    assert_eq!(stores.1.consolidate(begun).await.unwrap(), None);
    // and the other way round: what was saved meanwhile is superseded
    let other = SessionId::generate(&SystemClock);
    let turns = told(&*stores.0, other, 1..=25).await;
    let work = take(&*stores.1, other).await.unwrap();
    let from = looked(&*stores.1).await[0];
    let steps = stores
        .1
        .consolidate(summary_of(&turns, from, None))
        .await
        .unwrap();
    record(&*stores.0, &steps.unwrap()).await;
    let written = put(&stores, other, &work, "in short").await.unwrap();
    let current = stores.0.changed_since(&ann(), 0, 1000).await.unwrap();
    let of = |session| {
        let summary = |memory: &&Memory| {
            memory.kind == MemoryKind::Summary && memory.session == Some(session) && memory.valid_to.is_none()
        };
        current.iter().filter(summary).count()
    };
    assert_eq!((of(session), of(other)), (1, 1));
    assert_eq!(memory(&*stores.0, written.id).await.valid_to, None);
}

async fn the_label_is_the_lowest(place: Place) {
    let stores = place.consolidations().await;
    let session = SessionId::generate(&SystemClock);
    let mut turns: Vec<NewMemory> = (1..=20).map(|ordinal| turn(session, ordinal)).collect();
    turns[7].label = Label::Tool;
    kept(&*stores.0, &ann(), turns).await;
    let work = take(&*stores.1, session).await.unwrap();
    let first = put(&stores, session, &work, "one").await.unwrap();
    assert_eq!(first.label, Label::Tool);
    // what it was made of is in the next one, too
    told(&*stores.0, session, 21..=40).await;
    let work = take(&*stores.1, session).await.unwrap();
    let second = put(&stores, session, &work, "two").await.unwrap();
    assert_eq!(second.label, Label::Tool);
    let mut turns: Vec<NewMemory> = (41..=60).map(|ordinal| turn(session, ordinal)).collect();
    turns[0].label = Label::Imported;
    kept(&*stores.0, &ann(), turns).await;
    let work = take(&*stores.1, session).await.unwrap();
    let third = put(&stores, session, &work, "three").await.unwrap();
    assert_eq!(third.label, Label::Imported);
}

async fn what_does_not_reach_as_far_takes_no_place(place: Place) {
    let stores = place.consolidations().await;
    let session = SessionId::generate(&SystemClock);
    let turns = told(&*stores.0, session, 1..=30).await;
    let steps = stores.1.consolidate(summary_of(&turns, 0, None)).await.unwrap();
    record(&*stores.0, &steps.unwrap()).await;
    let of_sentences = stores
        .1
        .told(&ann(), Segment::of(session, 1))
        .await
        .unwrap()
        .former
        .unwrap();
    let small = Taking {
        room: 10 * 150,
        ..taking(session, NOW)
    };
    let work = stores.1.take_work(small).await.unwrap().unwrap();
    let (_, reaches) = ordinals(&work);
    assert!((1..30).contains(&reaches), "{reaches}");
    let part = put(&stores, session, &work, "a part").await.unwrap();
    assert_eq!(part.superseded_by, Some(of_sentences.id));
    assert_eq!(memory(&*stores.0, of_sentences.id).await.valid_to, None);
    // what is left of it is next
    told(&*stores.0, session, 31..=50).await;
    let work = take(&*stores.1, session).await.unwrap();
    assert_eq!(ordinals(&work), (reaches + 1, 50));
    assert_eq!(work.former.as_ref().map(|former| former.id), Some(part.id));
    let whole = put(&stores, session, &work, "the whole").await.unwrap();
    assert_eq!(whole.valid_to, None);
    assert_eq!(
        memory(&*stores.0, of_sentences.id).await.superseded_by,
        Some(whole.id)
    );
}

async fn what_is_not_on_record_comes_first(place: Place) {
    let stores = place.consolidations().await;
    let session = SessionId::generate(&SystemClock);
    let turns = told(&*stores.0, session, 1..=25).await;
    let work = take(&*stores.1, session).await.unwrap();
    let steps = stores
        .1
        .consolidate(summary_of(&turns, 0, None))
        .await
        .unwrap()
        .unwrap();
    let mine = putting(session, &work, "in short");
    let Put::First(first) = stores.1.put_summary(mine.clone()).await.unwrap() else {
        panic!("it has a place to take")
    };
    assert_eq!(first, steps);
    record(&*stores.0, &first).await;
    let Put::Kept(_, steps) = stores.1.put_summary(mine).await.unwrap() else {
        panic!("not kept")
    };
    record(&*stores.0, &steps).await;
    let told = stores.1.told(&ann(), Segment::of(session, 1)).await.unwrap();
    assert_eq!(told.former.unwrap().by, Writer::Model);
}

async fn a_forgotten_summary_is_made_anew(place: Place) {
    let stores = place.consolidations().await;
    let session = SessionId::generate(&SystemClock);
    told(&*stores.0, session, 1..=25).await;
    let work = take(&*stores.1, session).await.unwrap();
    let summary = put(&stores, session, &work, "what I want to forget")
        .await
        .unwrap();
    hide(&*stores.0, summary.id).await;
    let from = looked(&*stores.1).await[0];
    let to = rev(&*stores.0).await;
    stores.1.consolidate(plan(from, to)).await.unwrap().unwrap();
    assert!(
        take(&*stores.1, session).await.is_none(),
        "not before the session has gone on"
    );
    told(&*stores.0, session, 26..=45).await;
    let work = take(&*stores.1, session).await.unwrap();
    assert!(work.former.is_none());
    assert_eq!(ordinals(&work), (1, 45));
    let next = put(&stores, session, &work, "anew").await.unwrap();
    assert_eq!((next.valid_to, next.superseded_by), (None, None));
}

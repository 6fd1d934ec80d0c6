//! Consolidation: a look is written once, what came of it is seen when it is on record, and summaries go with what they tell of.

use std::time::Duration;

use harombe_types::MemoryId;
use uuid::Uuid;

use super::memories::{event, fact, kept, saving};
use super::place::{Place, on_each};
use super::*;
use crate::domain::consolidation::{Keyed, Link, NewSummary, Plan, Segment, Why, Writer};
use crate::domain::{Act, Actor, Change, Erasure, Hide, Label, Memory, MemoryKind, NewMemory, Step, Which};
use crate::store::{Consolidations, MemoryStore};

on_each![
    owners_with_changes_come_tenants_in_turn,
    a_look_is_written_once,
    links_are_seen_when_they_are_on_record,
    facts_are_found_by_what_they_have_in_common,
    a_summary_reaches_as_far_as_it_says,
    a_summary_goes_with_a_turn_that_is_erased,
    a_summary_is_hidden_with_a_turn,
    nothing_is_told_of_what_is_gone,
    one_process_consolidates,
];

pub(super) fn plan(from: u64, to: u64) -> Plan {
    Plan {
        owner: ann(),
        from,
        to,
        facts: Vec::new(),
        links: Vec::new(),
        event: event(),
        summaries: Vec::new(),
        now: NOW,
    }
}

pub(super) fn turn(session: SessionId, ordinal: u32) -> NewMemory {
    NewMemory {
        kind: MemoryKind::Turn,
        session: Some(session),
        ordinal: Some(ordinal),
        ..fact(&format!("turn {ordinal}"))
    }
}

pub(super) async fn record(store: &dyn MemoryStore, steps: &[Step]) {
    for step in steps {
        store.recorded(step, 9).await.unwrap();
    }
}

pub(super) async fn rev(store: &dyn MemoryStore) -> u64 {
    store.revision(&ann()).await.unwrap().rev
}

pub(super) async fn looked(consolidations: &dyn Consolidations) -> Vec<u64> {
    let behind = consolidations.behind(10).await.unwrap();
    behind.into_iter().map(|behind| behind.looked).collect()
}

pub(super) async fn memory(store: &dyn MemoryStore, id: MemoryId) -> Memory {
    store.memory(&ann(), id).await.unwrap()
}

async fn owners_with_changes_come_tenants_in_turn(place: Place) {
    let (store, consolidations) = place.consolidations().await;
    for (tenant, subject) in [("acme", "a"), ("acme", "b"), ("acme", "c"), ("zoo", "d")] {
        kept(&*store, &owner(tenant, subject), vec![fact("x")]).await;
    }
    let behind = async || -> Vec<String> {
        let behind = consolidations.behind(10).await.unwrap();
        behind
            .into_iter()
            .map(|behind| behind.owner.subject.to_string())
            .collect()
    };
    assert_eq!(behind().await, ["a", "d", "b", "c"]);
    assert_eq!(consolidations.behind(2).await.unwrap().len(), 2);
    assert_eq!(consolidations.count_behind().await.unwrap(), 4);
    consolidations.put_off(&owner("acme", "a"), NOW).await.unwrap();
    assert_eq!(behind().await, ["b", "d", "c", "a"].map(str::to_owned));
    let done = Plan {
        owner: owner("zoo", "d"),
        ..plan(0, 1)
    };
    assert_eq!(consolidations.consolidate(done).await.unwrap(), Some(Vec::new()));
    assert_eq!(behind().await, ["b", "c", "a"].map(str::to_owned));
}

async fn a_look_is_written_once(place: Place) {
    let (store, consolidations) = place.consolidations().await;
    assert_eq!(consolidations.consolidate(plan(0, 1)).await.unwrap(), None);
    kept(&*store, &ann(), vec![fact("one"), fact("two")]).await;
    assert_eq!(looked(&*consolidations).await, [0]);
    assert!(consolidations.consolidate(plan(0, 1)).await.unwrap().is_some());
    assert_eq!(looked(&*consolidations).await, [1]);
    assert_eq!(consolidations.consolidate(plan(0, 2)).await.unwrap(), None);
    assert!(consolidations.consolidate(plan(1, 2)).await.unwrap().is_some());
    assert!(looked(&*consolidations).await.is_empty());
    kept(&*store, &ann(), vec![fact("three")]).await;
    assert_eq!(looked(&*consolidations).await, [2]);
}

async fn links_are_seen_when_they_are_on_record(place: Place) {
    let (store, consolidations) = place.consolidations().await;
    let saved = kept(&*store, &ann(), vec![fact("old"), fact("new"), fact("gone")]).await;
    let [old, new, gone] = [0, 1, 2].map(|at| saved.memories[at].id);
    let link = |old, by| Link {
        old,
        by,
        why: Why::Superseded,
    };
    let linking = Plan {
        links: vec![
            link(old, new),
            link(old, gone),
            link(MemoryId::generate(&SystemClock), new),
        ],
        ..plan(0, 3)
    };
    let steps = consolidations.consolidate(linking).await.unwrap().unwrap();
    assert_eq!(steps.len(), 1);
    let details = format!("{:?}", steps[0].deed);
    assert!(
        details.contains(&new.to_string()) && !details.contains(&gone.to_string()),
        "{details}"
    );
    assert_eq!(memory(&*store, old).await.valid_to, None);
    assert_eq!(
        store
            .unrecorded(
                NOW.plus(Duration::from_secs(60)),
                NOW.plus(Duration::from_secs(60)),
                10
            )
            .await
            .unwrap(),
        steps
    );
    record(&*store, &steps).await;
    let linked = memory(&*store, old).await;
    assert_eq!((linked.superseded_by, linked.valid_to), (Some(new), Some(NOW)));
    assert_eq!(linked.rev, rev(&*store).await);
    record(&*store, &steps).await;
    assert_eq!(linked.rev, rev(&*store).await);
    // nothing takes the place of what holds no longer, nor what is hidden by then another's
    let again = Plan {
        links: vec![link(old, gone)],
        ..plan(3, 4)
    };
    assert!(
        consolidations
            .consolidate(again)
            .await
            .unwrap()
            .unwrap()
            .is_empty()
    );
    let hidden = Plan {
        links: vec![link(new, gone)],
        ..plan(4, 4)
    };
    let steps = consolidations.consolidate(hidden).await.unwrap().unwrap();
    hide(&*store, gone).await;
    record(&*store, &steps).await;
    assert_eq!(memory(&*store, new).await.valid_to, None);
}

/// What is on record of it.
pub(super) async fn hide(store: &dyn MemoryStore, id: MemoryId) -> String {
    let change = Change {
        owner: ann(),
        id,
        act: Act::Hide(Hide::ByModel),
        event: event(),
        actor: Actor::Person,
        now: NOW,
    };
    let changed = store.change(change).await.unwrap();
    record(store, &changed.steps).await;
    format!("{:?}", changed.steps)
}

pub(super) async fn erase(store: &dyn MemoryStore, id: MemoryId) -> Vec<Step> {
    let erasure = Erasure {
        owner: ann(),
        which: Which::One(id),
        event: event(),
        actor: Actor::Person,
        now: NOW,
    };
    store.erase(erasure).await.unwrap()
}

async fn facts_are_found_by_what_they_have_in_common(place: Place) {
    let (store, consolidations) = place.consolidations().await;
    let saved = kept(&*store, &ann(), vec![fact("a"), fact("b"), fact("c")]).await;
    kept(&*store, &owner("acme", "bob"), vec![fact("a")]).await;
    let keyed = |at: usize, keys: &[i64]| Keyed {
        seq: saved.memories[at].seq,
        keys: keys.to_vec(),
    };
    let keys = Plan {
        facts: vec![keyed(0, &[1, i64::MIN]), keyed(1, &[1, 2]), keyed(2, &[3])],
        ..plan(0, 2)
    };
    consolidations.consolidate(keys).await.unwrap().unwrap();
    // once more changes nothing
    let keys = Plan {
        facts: vec![keyed(0, &[1])],
        ..plan(2, 3)
    };
    consolidations.consolidate(keys).await.unwrap().unwrap();
    let alike = async |keys: &[i64]| -> Vec<String> {
        let found = consolidations.alike(&ann(), keys, 10).await.unwrap();
        found.into_iter().map(|memory| memory.text).collect()
    };
    assert_eq!(alike(&[1]).await, ["b", "a"]);
    assert_eq!(alike(&[1, 2, 3]).await, ["c", "b", "a"]);
    assert_eq!(alike(&[i64::MIN, 9]).await, ["a"]);
    assert!(alike(&[]).await.is_empty());
    assert!(
        consolidations
            .alike(&owner("acme", "bob"), &[1], 10)
            .await
            .unwrap()
            .is_empty()
    );
    hide(&*store, saved.memories[0].id).await;
    erase(&*store, saved.memories[2].id).await;
    assert_eq!(alike(&[1, 2, 3]).await, ["b"]);
}

/// A session of turns, and a summary of the first twenty.
async fn summarised(store: &dyn MemoryStore, consolidations: &dyn Consolidations) -> (Vec<Memory>, Memory) {
    let session = SessionId::generate(&SystemClock);
    let turns = (1..=25).map(|ordinal| turn(session, ordinal)).collect();
    let turns = kept(store, &ann(), turns).await.memories;
    let steps = consolidations
        .consolidate(summary_of(&turns[..20], 0, None))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(steps.len(), 1);
    record(store, &steps).await;
    let summary = changed_last(store).await;
    assert_eq!(summary.kind, MemoryKind::Summary);
    (turns, summary)
}

async fn changed_last(store: &dyn MemoryStore) -> Memory {
    let changed = store.changed_since(&ann(), 0, 1000).await.unwrap();
    changed.into_iter().max_by_key(|memory| memory.seq).unwrap()
}

pub(super) fn summary_of(turns: &[Memory], from: u64, supersedes: Option<MemoryId>) -> Plan {
    let session = turns[0].session.unwrap();
    let memory = NewMemory {
        kind: MemoryKind::Summary,
        session: Some(session),
        label: Label::Tool,
        supersedes,
        ..fact("in short")
    };
    let summary = NewSummary {
        saving: saving(&ann(), vec![memory]),
        segment: Segment::of(session, 1),
        by: Writer::Sentences,
        former: supersedes,
        reaches: turns.last().unwrap().ordinal,
        sources: turns.iter().map(|turn| turn.seq).collect(),
    };
    Plan {
        summaries: vec![summary],
        ..plan(from, turns.last().unwrap().rev)
    }
}

async fn a_summary_reaches_as_far_as_it_says(place: Place) {
    let (store, consolidations) = place.consolidations().await;
    let (turns, summary) = summarised(&*store, &*consolidations).await;
    let session = turns[0].session.unwrap();
    let told = async |ordinal| {
        consolidations
            .told(&ann(), Segment::of(session, ordinal))
            .await
            .unwrap()
    };
    let now = told(1).await;
    assert_eq!((now.turns, now.new, now.unwritten, now.beyond), (25, 5, 25, 0));
    let former = now.former.unwrap();
    assert_eq!(
        (former.id, former.pending, former.current),
        (summary.id, false, true)
    );
    assert_eq!(told(401).await.turns, 0);
    kept(&*store, &ann(), vec![turn(session, 401)]).await;
    assert_eq!(told(1).await.beyond, 1);
    // the next takes its place
    let looked = looked(&*consolidations).await[0];
    let next = consolidations
        .consolidate(summary_of(&turns, looked, Some(summary.id)))
        .await
        .unwrap();
    assert!(told(1).await.former.unwrap().pending);
    record(&*store, &next.unwrap()).await;
    let now = told(1).await;
    assert_eq!(now.new, 0);
    let superseded = memory(&*store, summary.id).await;
    assert_eq!(superseded.superseded_by, now.former.map(|former| former.id));
    let found = consolidations
        .turns(&ann(), Segment::of(session, 1), 100)
        .await
        .unwrap();
    assert_eq!(found.len(), 25);
}

async fn a_summary_goes_with_a_turn_that_is_erased(place: Place) {
    let (store, consolidations) = place.consolidations().await;
    let (turns, summary) = summarised(&*store, &*consolidations).await;
    let to = rev(&*store).await;
    let from = looked(&*consolidations).await[0];
    consolidations.consolidate(plan(from, to)).await.unwrap().unwrap();
    assert!(looked(&*consolidations).await.is_empty());
    // a turn that it does not tell of
    record(&*store, &erase(&*store, turns[22].id).await).await;
    memory(&*store, summary.id).await;
    let steps = erase(&*store, turns[3].id).await;
    let details = format!("{:?}", steps[0].deed);
    assert!(details.contains(&summary.id.to_string()), "{details}");
    assert!(matches!(
        store.memory(&ann(), summary.id).await,
        Err(Error::NotFound(_))
    ));
    // asked again before the log has it
    assert_eq!(erase(&*store, turns[3].id).await, steps);
    record(&*store, &steps).await;
    // the session is looked at again
    assert_eq!(looked(&*consolidations).await, [to]);
    let changed = store.changed_since(&ann(), to, 10).await.unwrap();
    assert!(
        changed
            .iter()
            .any(|memory| memory.session == turns[0].session && memory.kind == MemoryKind::Turn)
    );
    let told = consolidations
        .told(&ann(), Segment::of(turns[0].session.unwrap(), 1))
        .await
        .unwrap();
    assert_eq!((told.turns, told.new, told.former), (23, 23, None));
}

async fn a_summary_is_hidden_with_a_turn(place: Place) {
    let (store, consolidations) = place.consolidations().await;
    let (turns, summary) = summarised(&*store, &*consolidations).await;
    assert!(!hide(&*store, turns[21].id).await.contains("summaries"));
    assert_eq!(memory(&*store, summary.id).await.hidden_at, None);
    let on_record = hide(&*store, turns[4].id).await;
    assert!(
        on_record.contains("summaries") && on_record.contains(&summary.id.to_string()),
        "{on_record}"
    );
    assert_eq!(memory(&*store, summary.id).await.hidden_at, Some(NOW));
    let told = consolidations
        .told(&ann(), Segment::of(turns[0].session.unwrap(), 1))
        .await
        .unwrap();
    assert_eq!((told.turns, told.new, told.former), (23, 23, None));
    // and erased with it
    record(&*store, &erase(&*store, turns[4].id).await).await;
    assert!(matches!(
        store.memory(&ann(), summary.id).await,
        Err(Error::NotFound(_))
    ));
}

async fn nothing_is_told_of_what_is_gone(place: Place) {
    let (store, consolidations) = place.consolidations().await;
    let session = SessionId::generate(&SystemClock);
    let turns = (1..=20).map(|ordinal| turn(session, ordinal)).collect();
    let turns = kept(&*store, &ann(), turns).await.memories;
    let summary = summary_of(&turns, 0, None);
    hide(&*store, turns[7].id).await;
    assert_eq!(consolidations.consolidate(summary).await.unwrap(), None);
    let mut fewer = turns.clone();
    fewer.remove(7);
    let summary = summary_of(&fewer, 0, None);
    record(&*store, &erase(&*store, turns[7].id).await).await;
    let steps = consolidations
        .consolidate(summary.clone())
        .await
        .unwrap()
        .unwrap();
    // what is not on record yet goes as well, and is not seen when it is
    record(&*store, &erase(&*store, turns[8].id).await).await;
    record(&*store, &steps).await;
    let left = store.changed_since(&ann(), 0, 100).await.unwrap();
    assert!(left.iter().all(|memory| memory.kind == MemoryKind::Turn));
    assert_eq!(left.len(), 18);
}

async fn one_process_consolidates(place: Place) {
    let (_, one) = place.consolidations().await;
    let (mine, theirs) = (Uuid::now_v7(), Uuid::now_v7());
    let later = |seconds| NOW.plus(Duration::from_secs(seconds));
    assert!(one.hold(mine, NOW, later(60)).await.unwrap());
    assert!(one.hold(mine, later(1), later(61)).await.unwrap());
    if place.is_shared() {
        let (_, other) = place.consolidations().await;
        assert!(!other.hold(theirs, later(60), later(120)).await.unwrap());
        other.let_go(theirs).await.unwrap();
        assert!(!other.hold(theirs, later(60), later(120)).await.unwrap());
        assert!(other.hold(theirs, later(61), later(121)).await.unwrap());
        assert!(!one.hold(mine, later(62), later(122)).await.unwrap());
        other.let_go(theirs).await.unwrap();
        assert!(one.hold(mine, later(62), later(122)).await.unwrap());
        // a clock that has gone back does not keep everybody waiting until it is there again
        let earlier = |seconds: i64| Timestamp::from_millis(NOW.as_millis() - 1000 * seconds);
        assert!(other.hold(theirs, earlier(3600), earlier(3540)).await.unwrap());
    }
}

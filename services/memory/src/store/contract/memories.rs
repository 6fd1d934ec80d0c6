//! Memories: whose they are, when they are seen, what takes whose place, and how they go.

use harombe_types::{EventId, MemoryId};
use uuid::Uuid;

use super::place::{Place, on_each};
use super::*;
use crate::domain::{
    Act, Actor, Change, Changed, Erasure, Hide, Label, Listing, Memory, MemoryFilter, MemoryKind,
    MemoryLimits, NewMemory, Saved, Saving, Step, Which, Whose,
};
use crate::store::MemoryStore;

on_each![
    what_is_not_on_record_is_seen_by_nobody,
    an_id_is_saved_once_and_each_owner_has_its_own,
    a_step_waits_until_it_is_recorded,
    revisions_tell_of_every_change_in_order,
    one_memory_takes_the_place_of_another_and_once,
    no_more_are_kept_than_may,
    lists_are_narrowed,
    lists_go_on_and_are_counted,
    a_session_counts_its_memories,
];

pub(super) fn event() -> EventId {
    EventId::generate(&SystemClock)
}

/// A person's own fact, said at the time of the contract.
pub(crate) fn fact(text: &str) -> NewMemory {
    NewMemory {
        id: MemoryId::generate(&SystemClock),
        point: *MemoryId::generate(&SystemClock).as_uuid(),
        kind: MemoryKind::Fact,
        text: text.to_owned(),
        speaker: "ann".to_owned(),
        time: NOW,
        valid_to: None,
        superseded_by: None,
        supersedes: None,
        agent: "default".to_owned(),
        session: None,
        run: None,
        ordinal: Some(0),
        label: Label::Person,
        importance: 0.5,
        hidden_at: None,
        erased_at: None,
    }
}

pub(super) fn saving(owner: &Owner, memories: Vec<NewMemory>) -> Saving {
    Saving {
        owner: owner.clone(),
        memories,
        event: event(),
        actor: Actor::Person,
        now: NOW,
        most: MemoryLimits {
            per_subject: 1000,
            per_tenant: 1000,
        },
    }
}

pub(super) async fn record(store: &dyn MemoryStore, steps: &[Step], index: u64) {
    for step in steps {
        store.recorded(step, index).await.unwrap();
    }
}

/// Saved and on record.
pub(super) async fn kept(store: &dyn MemoryStore, owner: &Owner, memories: Vec<NewMemory>) -> Saved {
    let saved = store.save(saving(owner, memories)).await.unwrap();
    record(store, &saved.steps, 7).await;
    saved
}

pub(super) async fn texts(store: &dyn MemoryStore, owner: &Owner, listing: Listing) -> Vec<String> {
    let listing = Listing {
        limit: 100,
        ..listing
    };
    let found = store.list(owner, &listing).await.unwrap();
    found.into_iter().map(|memory| memory.text).collect()
}

pub(super) async fn changes(store: &dyn MemoryStore, since: u64) -> Vec<Memory> {
    store.changed_since(&ann(), since, 100).await.unwrap()
}

pub(super) fn change(id: MemoryId, act: Act) -> Change {
    Change {
        owner: ann(),
        id,
        act,
        event: event(),
        actor: Actor::Person,
        now: NOW,
    }
}

pub(super) async fn changed(store: &dyn MemoryStore, id: MemoryId, act: Act) -> Changed {
    let changed = store.change(change(id, act)).await.unwrap();
    record(store, &changed.steps, 8).await;
    changed
}

pub(super) fn erasure(which: Which, now: Timestamp) -> Erasure {
    Erasure {
        owner: ann(),
        which,
        event: event(),
        actor: Actor::Person,
        now,
    }
}

pub(super) const BY_PERSON: Act = Act::Hide(Hide::ByPerson {
    erase_at: Timestamp::from_millis(NOW.as_millis() + 1000),
});

async fn what_is_not_on_record_is_seen_by_nobody(place: Place) {
    let store = place.memories().await;
    let new = fact("ann lives in Köln");
    let (id, point) = (new.id, new.point);
    let saved = store.save(saving(&ann(), vec![new])).await.unwrap();
    assert_eq!((saved.new, saved.steps.len()), (1, 1));
    assert_eq!(saved.memories[0].audit_index, None);
    assert!(matches!(store.memory(&ann(), id).await, Err(Error::NotFound(_))));
    assert!(store.at_points(&ann(), &[point]).await.unwrap().is_empty());
    assert!(changes(&*store, 0).await.is_empty());
    assert!(store.all_after(&ann(), 0, 9).await.unwrap().is_empty());
    assert!(store.outbox(9).await.unwrap().is_empty());
    assert!(store.stored(None, 9).await.unwrap().is_empty());
    assert_eq!(store.stats(&ann()).await.unwrap().facts, 0);

    record(&*store, &saved.steps, 41).await;
    record(&*store, &saved.steps, 42).await;
    let memory = store.memory(&ann(), id).await.unwrap();
    assert_eq!((memory.audit_index, memory.rev), (Some(41), 1));
    assert_eq!((memory.text.as_str(), memory.point), ("ann lives in Köln", point));
    assert_eq!(
        store.at_points(&ann(), &[point, Uuid::now_v7()]).await.unwrap(),
        [memory]
    );
    assert_eq!(store.outbox(9).await.unwrap().len(), 1);
    assert_eq!(store.stored(None, 9).await.unwrap()[0].point, point);
    assert!(store.stored(Some(point), 9).await.unwrap().is_empty());
    for stranger in [owner("acme", "bob"), owner("other", "ann")] {
        assert!(matches!(
            store.memory(&stranger, id).await,
            Err(Error::NotFound(_))
        ));
        assert!(store.at_points(&stranger, &[point]).await.unwrap().is_empty());
        assert!(store.changed_since(&stranger, 0, 9).await.unwrap().is_empty());
        assert_eq!(store.revision(&stranger).await.unwrap().rev, 0);
    }
}

async fn an_id_is_saved_once_and_each_owner_has_its_own(place: Place) {
    let store = place.memories().await;
    let (first, other) = (fact("first"), fact("other"));
    kept(&*store, &ann(), vec![first.clone()]).await;
    let again = NewMemory {
        text: "again".to_owned(),
        ..first.clone()
    };
    let saved = kept(&*store, &ann(), vec![again.clone(), other.clone()]).await;
    let said: Vec<_> = saved.memories.iter().map(|memory| memory.text.as_str()).collect();
    assert_eq!((said, saved.new), (vec!["first", "other"], 1));
    let nothing = store.save(saving(&ann(), vec![again.clone()])).await.unwrap();
    assert_eq!((nothing.new, nothing.steps.len()), (0, 0));

    let theirs = NewMemory {
        point: Uuid::now_v7(),
        ..again
    };
    let bob = owner("acme", "bob");
    assert_eq!(kept(&*store, &bob, vec![theirs]).await.new, 1);
    assert_eq!(store.memory(&bob, first.id).await.unwrap().text, "again");
    assert_eq!(store.memory(&ann(), first.id).await.unwrap().text, "first");
}

async fn a_step_waits_until_it_is_recorded(place: Place) {
    let store = place.memories().await;
    let new = fact("x");
    let saved = store.save(saving(&ann(), vec![new.clone()])).await.unwrap();
    // who saves it again is to record the first saving
    let again = store.save(saving(&ann(), vec![new.clone()])).await.unwrap();
    assert_eq!((again.new, &again.steps), (0, &saved.steps));
    let later = NOW.plus(Duration::from_secs(1));
    assert!(store.unrecorded(NOW, NOW, 9).await.unwrap().is_empty());
    assert_eq!(store.unrecorded(later, later, 9).await.unwrap(), saved.steps);
    // the clock has gone back
    let before = Timestamp::from_millis(0);
    assert_eq!(store.unrecorded(before, before, 9).await.unwrap(), saved.steps);
    // whoever forgets it must know that both are to be recorded
    let hidden = store
        .change(change(new.id, Act::Hide(Hide::ByModel)))
        .await
        .unwrap();
    assert_eq!(hidden.steps.len(), 2);
    assert_eq!(hidden.steps[0], saved.steps[0]);
    record(&*store, &hidden.steps, 3).await;
    assert!(store.unrecorded(later, later, 9).await.unwrap().is_empty());
    let memory = store.memory(&ann(), new.id).await.unwrap();
    assert!(memory.hidden_at.is_some() && memory.rev == 1);
}

async fn revisions_tell_of_every_change_in_order(place: Place) {
    let store = place.memories().await;
    let three: Vec<_> = ["a", "b", "c"].map(fact).into();
    let ids: Vec<_> = three.iter().map(|memory| memory.id).collect();
    kept(&*store, &ann(), three).await;
    let seen = |memories: Vec<Memory>| -> Vec<(u64, String)> {
        memories
            .into_iter()
            .map(|memory| (memory.rev, memory.text))
            .collect()
    };
    let of = |pairs: &[(u64, &str)]| -> Vec<(u64, String)> {
        pairs
            .iter()
            .map(|(rev, text)| (*rev, (*text).to_owned()))
            .collect()
    };
    assert_eq!(
        seen(changes(&*store, 0).await),
        of(&[(1, "a"), (2, "b"), (3, "c")])
    );
    assert_eq!(
        seen(store.changed_since(&ann(), 1, 1).await.unwrap()),
        of(&[(2, "b")])
    );
    changed(&*store, ids[0], Act::Hide(Hide::ByModel)).await;
    let newer = NewMemory {
        supersedes: Some(ids[1]),
        ..fact("d")
    };
    kept(&*store, &ann(), vec![newer]).await;
    assert_eq!(
        seen(changes(&*store, 3).await),
        of(&[(4, "a"), (5, "d"), (6, "b")])
    );
    let before = store.revision(&ann()).await.unwrap();
    assert_eq!((before.rev, before.epoch), (6, 0));
    store.erase(erasure(Which::One(ids[2]), NOW)).await.unwrap();
    let after = store.revision(&ann()).await.unwrap();
    assert_eq!((after.rev, after.epoch), (6, 1));
}

async fn one_memory_takes_the_place_of_another_and_once(place: Place) {
    let store = place.memories().await;
    let (old, hidden) = (fact("lives in Rome"), fact("hidden"));
    kept(&*store, &ann(), vec![old.clone(), hidden.clone()]).await;
    changed(&*store, hidden.id, Act::Hide(Hide::ByModel)).await;
    let newer = |of: MemoryId| NewMemory {
        supersedes: Some(of),
        // said before the old one: the clock has gone back
        time: Timestamp::from_millis(5),
        ..fact("lives in Köln")
    };
    let bob = owner("acme", "bob");
    for (owner, of) in [
        (&ann(), MemoryId::generate(&SystemClock)),
        (&bob, old.id),
        (&ann(), hidden.id),
    ] {
        let refused = store.save(saving(owner, vec![newer(of)])).await;
        assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
    }
    let new = newer(old.id);
    let saved = store.save(saving(&ann(), vec![new.clone()])).await.unwrap();
    // as long as the new one is not seen, the old one holds, and its place is taken
    assert!(!store.memory(&ann(), old.id).await.unwrap().is_superseded());
    let second = store.save(saving(&ann(), vec![newer(old.id)])).await;
    assert!(matches!(second, Err(Error::Superseded(id)) if id == old.id));
    record(&*store, &saved.steps, 9).await;
    let superseded = store.memory(&ann(), old.id).await.unwrap();
    assert_eq!(superseded.superseded_by, Some(new.id));
    assert_eq!(
        (superseded.valid_to, superseded.text.as_str()),
        (Some(NOW), "lives in Rome")
    );
    let third = store.save(saving(&ann(), vec![newer(old.id)])).await;
    assert!(matches!(third, Err(Error::Superseded(_))));
    assert_eq!(store.save(saving(&ann(), vec![new])).await.unwrap().new, 0);
    assert_eq!(
        texts(&*store, &ann(), Listing::default()).await,
        ["lives in Köln"]
    );
}

async fn no_more_are_kept_than_may(place: Place) {
    let store = place.memories().await;
    let bob = owner("acme", "bob");
    let most = |per_subject, per_tenant| MemoryLimits {
        per_subject,
        per_tenant,
    };
    let within = |owner: &Owner, count: usize, most: MemoryLimits| Saving {
        most,
        ..saving(
            owner,
            (0..count).map(|number| fact(&number.to_string())).collect(),
        )
    };
    store.save(within(&ann(), 3, most(3, 4))).await.unwrap();
    let refused = store.save(within(&ann(), 1, most(3, 4))).await;
    assert!(matches!(
        refused,
        Err(Error::TooManyMemories {
            whose: Whose::Subject,
            most: 3
        })
    ));
    let refused = store.save(within(&bob, 2, most(3, 4))).await;
    assert!(matches!(
        refused,
        Err(Error::TooManyMemories {
            whose: Whose::Tenant,
            most: 4
        })
    ));
    store
        .save(within(&owner("other", "ann"), 3, most(3, 4)))
        .await
        .unwrap();
    let last = fact("last");
    let saving = Saving {
        memories: vec![last.clone()],
        ..within(&bob, 0, most(3, 4))
    };
    store.save(saving.clone()).await.unwrap();
    // nothing new
    store.save(saving).await.unwrap();
    let erasure = Erasure {
        owner: bob.clone(),
        ..erasure(Which::One(last.id), NOW)
    };
    store.erase(erasure).await.unwrap();
    store.save(within(&bob, 1, most(3, 4))).await.unwrap();
}

/// A fact, a turn of the session, something imported that holds no longer, and something hidden.
fn different(session: SessionId) -> Vec<NewMemory> {
    let at = |seconds| NOW.plus(Duration::from_secs(seconds));
    vec![
        NewMemory {
            time: at(1),
            ..fact("a")
        },
        NewMemory {
            time: at(2),
            kind: MemoryKind::Turn,
            session: Some(session),
            ordinal: None,
            ..fact("b")
        },
        NewMemory {
            time: at(3),
            label: Label::Imported,
            agent: "other".to_owned(),
            valid_to: Some(at(4)),
            ..fact("c")
        },
        NewMemory {
            hidden_at: Some(NOW),
            erased_at: Some(at(9)),
            ..fact("d")
        },
    ]
}

async fn lists_are_narrowed(place: Place) {
    let store = place.memories().await;
    let session = SessionId::generate(&SystemClock);
    kept(&*store, &ann(), different(session)).await;
    let check = async |change: fn(&mut Listing, SessionId), expected: &[&str]| {
        let mut listing = Listing::default();
        change(&mut listing, session);
        assert_eq!(texts(&*store, &ann(), listing).await, expected);
    };
    check(|_, _| {}, &["b", "a"]).await;
    check(|listing, _| listing.hidden = true, &["d", "b", "a"]).await;
    check(|listing, _| listing.filter.superseded = true, &["c", "b", "a"]).await;
    check(
        |listing, session| listing.filter.sessions = vec![SessionId::generate(&SystemClock), session],
        &["b"],
    )
    .await;
    check(
        |listing, _| listing.filter.kinds = vec![MemoryKind::Turn, MemoryKind::Summary],
        &["b"],
    )
    .await;
    check(|listing, _| listing.filter.agent = Some("other".to_owned()), &[]).await;
    let imported = MemoryFilter {
        labels: vec![Label::Imported],
        superseded: true,
        ..MemoryFilter::default()
    };
    let listing = Listing {
        filter: imported,
        ..Listing::default()
    };
    assert_eq!(texts(&*store, &ann(), listing).await, ["c"]);
    check(
        |listing, _| listing.filter.from = Some(NOW.plus(Duration::from_secs(2))),
        &["b"],
    )
    .await;
    check(
        |listing, _| listing.filter.until = Some(NOW.plus(Duration::from_secs(2))),
        &["a"],
    )
    .await;
}

async fn lists_go_on_and_are_counted(place: Place) {
    let store = place.memories().await;
    kept(&*store, &ann(), different(SessionId::generate(&SystemClock))).await;
    let first = Listing {
        limit: 1,
        ..Listing::default()
    };
    let newest = store.list(&ann(), &first).await.unwrap();
    let rest = Listing {
        before: Some(newest[0].seq),
        ..first
    };
    assert_eq!(store.list(&ann(), &rest).await.unwrap()[0].text, "a");
    let everything = store.all_after(&ann(), 0, 3).await.unwrap();
    let said: Vec<_> = everything.iter().map(|memory| memory.text.as_str()).collect();
    assert_eq!(said, ["a", "b", "c"]);
    assert_eq!(
        store.all_after(&ann(), everything[2].seq, 3).await.unwrap().len(),
        1
    );
    let stats = store.stats(&ann()).await.unwrap();
    assert_eq!((stats.turns, stats.facts, stats.summaries), (1, 3, 0));
    assert_eq!(
        (stats.hidden, stats.superseded, stats.bytes, stats.waiting),
        (1, 1, 4, 4)
    );
    assert_eq!(
        (stats.oldest, stats.newest),
        (Some(NOW), Some(NOW.plus(Duration::from_secs(3))))
    );
}

async fn a_session_counts_its_memories(place: Place) {
    let store = place.memories().await;
    let session = SessionId::generate(&SystemClock);
    let said = |text: &str| NewMemory {
        session: Some(session),
        ordinal: None,
        ..fact(text)
    };
    let first = kept(&*store, &ann(), vec![said("a"), said("b")]).await;
    let second = kept(&*store, &ann(), vec![said("c"), fact("elsewhere")]).await;
    let places = |saved: &Saved| -> Vec<u32> { saved.memories.iter().map(|memory| memory.ordinal).collect() };
    assert_eq!((places(&first), places(&second)), (vec![1, 2], vec![3, 0]));
    // an import may say anything
    let last = NewMemory {
        ordinal: Some(u32::MAX),
        ..said("d")
    };
    kept(&*store, &ann(), vec![last]).await;
    assert_eq!(places(&kept(&*store, &ann(), vec![said("e")]).await), [u32::MAX]);
}

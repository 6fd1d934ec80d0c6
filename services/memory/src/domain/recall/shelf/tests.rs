//! The cache of indexes, and what is in it.

use std::sync::mpsc;
use std::time::Duration;

use harombe_rpc::Metrics;
use harombe_sql::StoreConfig;
use harombe_testkit::postgres::Database;
use harombe_types::{Clock, EventId, MemoryId, SystemClock};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _};

use super::*;
use crate::domain::{Act, Actor, Change, Hide, MemoryLimits, NewMemory, Saved, Saving, Step};
use crate::store::{Outbox, contract, open};

/// A store of the test's own.
struct Rig {
    memories: Arc<dyn MemoryStore>,
    folder: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(&StoreConfig::default(), folder.path(), Outbox::Unused).await;
        Self {
            memories: opened.unwrap().memories,
            folder,
        }
    }

    fn shelf(&self, most: usize) -> Shelf {
        let numbers = RecallNumbers::new(&Metrics::new());
        Shelf::new(Arc::clone(&self.memories), Workers::new(1), most, numbers)
    }

    async fn save(&self, memories: Vec<NewMemory>) -> Saved {
        let saving = Saving {
            owner: owner("ann"),
            memories,
            event: EventId::generate(&SystemClock),
            actor: Actor::Person,
            now: SystemClock.now(),
            most: MemoryLimits {
                per_subject: 1000,
                per_tenant: 1000,
            },
        };
        self.memories.save(saving).await.unwrap()
    }

    async fn record(&self, steps: &[Step]) {
        for step in steps {
            self.memories.recorded(step, 1).await.unwrap();
        }
    }

    /// Saved and on record.
    async fn keep(&self, text: &str) -> Memory {
        let saved = self.save(vec![fact(text)]).await;
        self.record(&saved.steps).await;
        saved.memories.into_iter().next().unwrap()
    }

    async fn change(&self, id: MemoryId, act: Act) {
        let change = Change {
            owner: owner("ann"),
            id,
            act,
            event: EventId::generate(&SystemClock),
            actor: Actor::Person,
            now: SystemClock.now(),
        };
        self.memories.change(change).await.unwrap();
    }
}

fn fact(text: &str) -> NewMemory {
    NewMemory {
        time: SystemClock.now(),
        ..contract::memories::fact(text)
    }
}

fn holds(place: &Place, memory: &Memory) -> bool {
    place.read(|book| book.index.contains(memory.point)).unwrap()
}

#[tokio::test]
async fn a_change_that_left_nothing_behind_is_looked_for_once() {
    let rig = Rig::new().await;
    let shelf = rig.shelf(1 << 20);
    let old = rig.keep("I live in Rome").await;
    shelf.of(&owner("ann")).await.unwrap();
    let new = rig.keep("I have moved to Oslo").await;
    // as when what a change was to supersede had ended meanwhile
    let file = SqliteConnectOptions::new().filename(rig.folder.path().join("memory.db"));
    let mut connection = file.connect().await.unwrap();
    connection
        .execute("UPDATE owners SET rev = rev + 1")
        .await
        .unwrap();
    let revision = rig.memories.revision(&owner("ann")).await.unwrap();
    let changed = rig.memories.changed_since(&owner("ann"), 0, 10).await.unwrap();
    assert!(
        changed.iter().all(|memory| memory.rev < revision.rev),
        "{changed:?}"
    );
    let place = shelf.of(&owner("ann")).await.unwrap();
    assert_eq!(place.known().at, Some(revision));
    assert!(holds(&place, &old) && holds(&place, &new));
}

#[tokio::test]
async fn what_changed_long_ago_is_read_as_far_as_it_fits() {
    let rig = Rig::new().await;
    let first = rig.keep("the first of all").await;
    let other = rig.keep("hidden and restored").await;
    // many more changes than memories could fit
    for _ in 0..200 {
        rig.change(other.id, Act::Hide(Hide::ByModel)).await;
        rig.change(other.id, Act::Restore).await;
    }
    let shelf = rig.shelf(64 * MEMORY_LEAST);
    let place = shelf.of(&owner("ann")).await.unwrap();
    assert!(holds(&place, &first) && holds(&place, &other));
    assert!(place.known().holds_all);
}

#[tokio::test]
async fn an_index_that_is_full_says_that_it_does_not_hold_all() {
    let rig = Rig::new().await;
    let shelf = rig.shelf(64 << 10);
    let first = rig.keep("the first of all").await;
    assert!(shelf.of(&owner("ann")).await.unwrap().known().holds_all);
    for number in 0..100 {
        rig.keep(&format!("number{number} {}", "x".repeat(1000))).await;
    }
    for shelf in [shelf, rig.shelf(64 << 10)] {
        let place = shelf.of(&owner("ann")).await.unwrap();
        assert!(!place.known().holds_all && !holds(&place, &first));
        assert!(place.known().bytes <= (32 << 10) + 4096);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn who_serves_goes_on_while_an_index_is_being_changed() {
    let rig = Rig::new().await;
    let shelf = Arc::new(rig.shelf(1 << 20));
    let memory = rig.keep("the first of all").await;
    let place = shelf.of(&owner("ann")).await.unwrap();
    let (holding, held) = tokio::sync::oneshot::channel();
    let (release, released) = mpsc::channel();
    let changed = Arc::clone(&place);
    let changing = std::thread::spawn(move || {
        changed.change(|_| {
            holding.send(()).unwrap();
            released.recv_timeout(Duration::from_secs(60)).is_ok()
        })
    });
    held.await.unwrap();
    rig.keep("another").await;
    // one looks, one brings it up to date; both are begun before the other goes on
    let (shelf, looked_at) = (&shelf, memory.point);
    let (seen, brought, ()) = tokio::join!(
        shelf.glance(&place, move |book| book.index.contains(looked_at)),
        async { shelf.of(&owner("ann")).await.unwrap().known().at },
        async {
            // the store has answered the second by then, or answers while the thread waits
            rig.memories.revision(&owner("ann")).await.unwrap();
            release.send(()).unwrap();
        }
    );
    assert!(changing.join().unwrap(), "the one who served was held up");
    assert_eq!(seen, Some(true));
    assert_eq!(brought, Some(rig.memories.revision(&owner("ann")).await.unwrap()));
}

#[tokio::test]
async fn changes_are_taken_in_by_parts_that_are_little_work() {
    let rig = Rig::new().await;
    let mut changed = Vec::new();
    for number in 0..70 {
        let text = "x".repeat(if number == 10 { 16 << 10 } else { 600 });
        changed.push(rig.keep(&text).await);
    }
    let parts: Vec<&[Memory]> = slices(&changed).collect();
    assert_eq!(parts.concat(), changed);
    assert!(parts.len() < 8);
    for part in parts {
        assert!(part.len() == 1 || is_little(part), "{} memories", part.len());
    }
    assert_eq!(slices(&[]).count(), 0);
}

/// Whose indexes are there.
fn held(shelf: &Shelf) -> Vec<Owner> {
    let places = shelf.places.lock();
    assert_eq!(places.by_use.len(), places.by_owner.len());
    let sizes: usize = places.by_owner.values().map(|slot| slot.bytes).sum();
    assert_eq!(places.bytes, sizes);
    let mut held: Vec<_> = places.by_owner.keys().cloned().collect();
    held.sort_by(|one, other| one.subject.cmp(&other.subject));
    held
}

#[tokio::test]
async fn an_index_that_is_forgotten_leaves_room() {
    let rig = Rig::new().await;
    let shelf = rig.shelf(1 << 20);
    let memory = rig.keep("I live in Rome").await;
    let ann = owner("ann");
    let place = shelf.of(&ann).await.unwrap();
    shelf.of(&owner("bob")).await.unwrap();
    assert_eq!(held(&shelf), [ann.clone(), owner("bob")]);
    for _ in 0..2 {
        shelf.forget(&ann).await;
        assert_eq!(held(&shelf), [owner("bob")]);
    }
    // who has it goes on with it
    assert!(holds(&place, &memory));
    rig.memories.erase_person(&ann, 9).await.unwrap();
    assert!(!holds(&shelf.of(&ann).await.unwrap(), &memory));
}

#[tokio::test]
async fn who_was_erased_at_another_process_is_let_go() {
    let database = Database::create().await;
    let config = StoreConfig {
        postgres: Some(database.config()),
    };
    let folder = tempfile::tempdir().unwrap();
    let opened = open(&config, folder.path(), Outbox::Unused).await.unwrap();
    let (memories, peers) = (opened.memories, opened.peers.unwrap());
    let rig = Rig { memories, folder };
    let shelf = rig.shelf(1 << 20);
    let ann = owner("ann");
    let old = rig.keep("I live in Rome").await;
    shelf.of(&ann).await.unwrap();
    shelf.tidy(&*peers).await.unwrap();
    assert_eq!(held(&shelf), std::slice::from_ref(&ann));
    rig.memories.erase_person(&ann, 9).await.unwrap();
    shelf.tidy(&*peers).await.unwrap();
    assert_eq!(held(&shelf), []);

    // nor is it taken for that of the next of the name, who has as many changes
    rig.keep("I live in Rome").await;
    shelf.of(&ann).await.unwrap();
    rig.memories.erase_person(&ann, 9).await.unwrap();
    let new = rig.keep("I live in Oslo").await;
    let place = shelf.of(&ann).await.unwrap();
    assert!(holds(&place, &new) && !holds(&place, &old));
    rig.memories.erase_person(&ann, 9).await.unwrap();
    rig.keep("I live in Bonn").await;
    shelf.tidy(&*peers).await.unwrap();
    assert_eq!(held(&shelf), []);
}

fn owner(subject: &str) -> Owner {
    Owner {
        tenant: "acme".parse().unwrap(),
        subject: subject.parse().unwrap(),
    }
}

#[test]
fn those_that_were_not_used_for_long_make_room() {
    let mut places = Places {
        by_owner: HashMap::new(),
        by_use: BTreeMap::new(),
        uses: 0,
        bytes: 0,
        most: 100,
    };
    let (ann, bob, eve) = (owner("ann"), owner("bob"), owner("eve"));
    let of_ann = places.take(&ann);
    assert_eq!(places.weigh(&ann, &of_ann, 40).0, 40);
    let of_bob = places.take(&bob);
    assert_eq!(places.weigh(&bob, &of_bob, 40).0, 80);
    assert!(Arc::ptr_eq(&places.take(&ann), &of_ann));
    let of_eve = places.take(&eve);
    assert_eq!(places.weigh(&eve, &of_eve, 40).0, 80);
    assert!(places.by_owner.contains_key(&ann) && !places.by_owner.contains_key(&bob));
    // one that grew is weighed anew, one that is gone not at all
    assert_eq!(places.weigh(&ann, &of_ann, 60).0, 100);
    assert_eq!(places.weigh(&bob, &of_bob, 60).0, 100);
    // what is too large for all of it is not kept
    assert_eq!(places.weigh(&eve, &of_eve, 101).0, 0);
    assert_eq!((places.by_owner.len(), places.by_use.len()), (0, 0));
}

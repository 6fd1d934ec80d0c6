//! The suite that every adapter of the store passes.

use std::sync::Arc;
use std::time::Duration;

use harombe_testkit::postgres::Database;
use harombe_types::{EventId, Role, SystemClock, Tenant, Timestamp};

use super::{First, PostgresStore, SqliteStore, Store};
use crate::domain::key::{Bearer, Key, KeyLimits, Revocation};
use crate::domain::quota::{Counted, Daily};
use crate::domain::secret::ApiKey;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
/// Before everything.
const LONG_AGO: Timestamp = Timestamp::from_millis(0);
const DAY: i64 = 20_717;

/// A store, and what lives as long as it does.
struct World {
    store: Arc<dyn Store>,
    _place: Place,
}

enum Place {
    Folder(#[expect(dead_code, reason = "removed when it is dropped")] tempfile::TempDir),
    Database(#[expect(dead_code, reason = "removed when it is dropped")] Database),
}

async fn sqlite() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("gateway.db")).await.unwrap();
    World {
        store: Arc::new(store),
        _place: Place::Folder(dir),
    }
}

async fn postgres() -> World {
    let database = Database::create().await;
    let store = PostgresStore::open(&database.config()).await.unwrap();
    World {
        store: Arc::new(store),
        _place: Place::Database(database),
    }
}

/// Each case, on each store.
macro_rules! suite {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::sqlite().await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::postgres().await).await;
            })*
        }
    };
}

suite!(
    a_key_reads_back_once_it_is_active,
    the_first_key_is_one,
    abandoned_keys_are_forgotten,
    a_list_is_one_tenants_and_newest_first,
    a_key_is_revoked_once,
    revocations_wait_for_their_record,
    a_quota_is_spent_once,
);

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

fn key(of: &str, created_at: Timestamp) -> Key {
    let secret = ApiKey::generate().unwrap();
    Key {
        id: secret.id().clone(),
        digest: secret.digest(),
        bearer: Bearer {
            tenant: tenant(of),
            name: "a name, with 'quotes' and é".to_owned(),
            subject: "ann@example.com".parse().unwrap(),
            roles: [Role::User].into(),
            agents: ["default".parse().unwrap(), "analyst".parse().unwrap()].into(),
            allow_self: true,
            limits: KeyLimits {
                requests_per_second: 1,
                burst: 2,
                streams: 3,
                messages_per_day: 4,
            },
            expires_at: Some(NOW.plus(Duration::from_secs(60))),
        },
        created_at,
        created_by: "local/owner".to_owned(),
        revoked: None,
    }
}

fn revocation(at: Timestamp) -> Revocation {
    Revocation {
        at,
        by: "owner".parse().unwrap(),
        event: EventId::generate(&SystemClock),
        recorded: false,
    }
}

async fn added(store: &dyn Store, key: &Key) {
    store.add(key, LONG_AGO).await.unwrap();
    store.activate(&key.id).await.unwrap();
}

async fn a_key_reads_back_once_it_is_active(world: World) {
    let store = &*world.store;
    assert!(store.is_empty(LONG_AGO).await.unwrap());
    let plain = Key {
        bearer: Bearer {
            roles: Role::ALL.into(),
            agents: std::collections::BTreeSet::new(),
            allow_self: false,
            limits: KeyLimits::default(),
            expires_at: None,
            ..key("acme", NOW).bearer
        },
        ..key("acme", NOW)
    };
    for key in [key("acme", NOW), plain] {
        store.add(&key, LONG_AGO).await.unwrap();
        assert!(!store.is_empty(NOW).await.unwrap());
        assert_eq!(store.find(&key.id).await.unwrap(), None);
        store.activate(&key.id).await.unwrap();
        assert_eq!(store.find(&key.id).await.unwrap(), Some(key.clone()));
        // What is in use is not discarded.
        store.discard(&key.id).await.unwrap();
        assert_eq!(store.find(&key.id).await.unwrap(), Some(key));
    }
    let dropped = key("acme", NOW);
    store.add(&dropped, LONG_AGO).await.unwrap();
    store.discard(&dropped.id).await.unwrap();
    assert!(store.activate(&dropped.id).await.is_err());
}

async fn the_first_key_is_one(world: World) {
    let tries = (0..8).map(|_| {
        let (store, key) = (Arc::clone(&world.store), key("local", NOW));
        tokio::spawn(async move { (store.add_first(&key, LONG_AGO).await.unwrap(), key) })
    });
    let mut kept = Vec::new();
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            (First::Kept, key) => kept.push(key),
            (First::Others, _) => {}
            (First::Active, _) => panic!("nobody has activated it"),
        }
    }
    assert_eq!(kept.len(), 1);
    let (store, first) = (&*world.store, &kept[0]);
    let never = Timestamp::from_millis(i64::MAX);
    assert!(store.is_empty(never).await.unwrap(), "it is only begun");
    // Again, after whoever tried has died.
    assert_eq!(store.add_first(first, LONG_AGO).await.unwrap(), First::Kept);
    store.activate(&first.id).await.unwrap();
    assert!(!store.is_empty(never).await.unwrap());
    assert_eq!(store.add_first(first, LONG_AGO).await.unwrap(), First::Active);
    // The same id with another secret is another key.
    let forged = Key {
        id: first.id.clone(),
        ..key("local", NOW)
    };
    assert_eq!(store.add_first(&forged, LONG_AGO).await.unwrap(), First::Others);
    store
        .revoke(&tenant("local"), &first.id, &revocation(NOW))
        .await
        .unwrap();
    assert_eq!(store.add_first(first, LONG_AGO).await.unwrap(), First::Others);
}

async fn abandoned_keys_are_forgotten(world: World) {
    let store = &*world.store;
    let (old, new) = (key("acme", LONG_AGO), key("acme", NOW));
    store.add(&old, LONG_AGO).await.unwrap();
    assert!(!store.is_empty(LONG_AGO).await.unwrap());
    assert!(store.is_empty(NOW).await.unwrap());
    // A first key that never came into force does not keep others from being the first.
    assert_eq!(store.add_first(&new, NOW).await.unwrap(), First::Kept);
    assert!(store.activate(&old.id).await.is_err());
    store.activate(&new.id).await.unwrap();
    store
        .add(&key("acme", NOW), NOW.plus(Duration::from_secs(1)))
        .await
        .unwrap();
    assert!(store.find(&new.id).await.unwrap().is_some());
}

async fn a_list_is_one_tenants_and_newest_first(world: World) {
    let store = &*world.store;
    let mut keys = Vec::new();
    for second in [0, 1, 1, 2] {
        let key = key("acme", NOW.plus(Duration::from_secs(second)));
        added(store, &key).await;
        keys.push(key);
    }
    let other = key("other", NOW);
    added(store, &other).await;
    store.add(&key("acme", NOW), LONG_AGO).await.unwrap();
    keys.sort_by_key(|key| std::cmp::Reverse((key.created_at, key.id.clone())));
    let acme = tenant("acme");
    assert_eq!(store.list(&acme, 10, None).await.unwrap(), keys);
    let mut paged = Vec::new();
    loop {
        let after = paged.last().map(|key: &Key| key.id.clone());
        let page = store.list(&acme, 1, after.as_ref()).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, keys);
    // Another tenant's key is no place to go on from.
    assert!(store.list(&acme, 10, Some(&other.id)).await.unwrap().is_empty());
    assert_eq!(store.list(&tenant("other"), 10, None).await.unwrap(), [other]);
    assert!(store.list(&tenant("none"), 10, None).await.unwrap().is_empty());
}

async fn a_key_is_revoked_once(world: World) {
    let store = &*world.store;
    let key = key("acme", NOW);
    let (acme, first) = (tenant("acme"), revocation(NOW));
    store.add(&key, LONG_AGO).await.unwrap();
    assert_eq!(store.revoke(&acme, &key.id, &first).await.unwrap(), None);
    store.activate(&key.id).await.unwrap();
    assert_eq!(
        store.revoke(&tenant("other"), &key.id, &first).await.unwrap(),
        None
    );
    assert_eq!(store.find(&key.id).await.unwrap().unwrap().revoked, None);
    let revoked = store.revoke(&acme, &key.id, &first).await.unwrap().unwrap();
    assert_eq!(revoked.revoked, Some(first.clone()));
    assert_eq!(store.find(&key.id).await.unwrap(), Some(revoked.clone()));
    let later = revocation(NOW.plus(Duration::from_secs(1)));
    assert_eq!(store.revoke(&acme, &key.id, &later).await.unwrap(), Some(revoked));
}

async fn revocations_wait_for_their_record(world: World) {
    let store = &*world.store;
    let (key, other) = (key("acme", NOW), key("acme", NOW));
    for key in [&key, &other] {
        added(store, key).await;
    }
    assert!(store.revocation_recorded(&key.id).await.is_err());
    store
        .revoke(&tenant("acme"), &key.id, &revocation(NOW))
        .await
        .unwrap();
    assert!(store.unrecorded(NOW, 10).await.unwrap().is_empty());
    let later = NOW.plus(Duration::from_millis(1));
    let waiting = store.unrecorded(later, 10).await.unwrap();
    assert_eq!(waiting.iter().map(|key| &key.id).collect::<Vec<_>>(), [&key.id]);
    assert!(store.unrecorded(later, 0).await.unwrap().is_empty());
    store.revocation_recorded(&key.id).await.unwrap();
    assert!(store.unrecorded(later, 10).await.unwrap().is_empty());
    let recorded = store.find(&key.id).await.unwrap().unwrap().revoked.unwrap();
    assert!(recorded.recorded);
}

async fn a_quota_is_spent_once(world: World) {
    let of = |what| Counted {
        key: key("acme", NOW).id,
        what,
    };
    let id = of(Daily::Messages);
    let tries = (0..8).map(|_| {
        let (store, id) = (Arc::clone(&world.store), id.clone());
        tokio::spawn(async move { store.spend(&id, DAY, 3).await.unwrap() })
    });
    let mut counted = 0;
    for tried in tries.collect::<Vec<_>>() {
        counted += usize::from(tried.await.unwrap());
    }
    assert_eq!(counted, 3);
    let store = &*world.store;
    assert!(!store.spend(&id, DAY, 3).await.unwrap());
    store.give_back(&id, DAY).await.unwrap();
    assert!(store.spend(&id, DAY, 3).await.unwrap());
    assert!(!store.spend(&id, DAY, 3).await.unwrap());
    // Another key, another quota, and so it is with another thing of the same key; a higher one goes on.
    let sessions = Counted {
        what: Daily::Sessions,
        ..id.clone()
    };
    assert!(store.spend(&sessions, DAY, 1).await.unwrap());
    assert!(!store.spend(&sessions, DAY, 1).await.unwrap());
    assert!(store.spend(&of(Daily::Messages), DAY, 1).await.unwrap());
    assert!(store.spend(&id, DAY, 4).await.unwrap());
    // A new day, for a gateway whose clock is behind as well.
    assert!(store.spend(&id, DAY + 1, 2).await.unwrap());
    assert!(store.spend(&id, DAY, 2).await.unwrap());
    assert!(!store.spend(&id, DAY + 1, 2).await.unwrap());
    store.give_back(&id, DAY).await.unwrap();
    assert!(!store.spend(&id, DAY + 1, 2).await.unwrap());
}

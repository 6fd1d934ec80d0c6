//! What those who race with an erasure, or do not wait for its end, must not bring about: that a destroyed key is kept.

use tempfile::TempDir;
use tokio::sync::{Notify, watch};

use super::*;
use crate::store::sqlite::{DATA_KEYS_FILE, SqliteKeys};

/// A place that all pass until it is shut.
struct Gate {
    is_open: watch::Sender<bool>,
    arrived: Notify,
}

impl Gate {
    fn new() -> Self {
        Self {
            is_open: watch::Sender::new(true),
            arrived: Notify::new(),
        }
    }

    async fn pass(&self) {
        if !*self.is_open.borrow() {
            self.arrived.notify_one();
        }
        self.is_open.subscribe().wait_for(|open| *open).await.unwrap();
    }

    fn shut(&self) {
        self.is_open.send_replace(false);
    }

    fn open(&self) {
        self.is_open.send_replace(true);
    }
}

/// The file of keys, and where its answers and its deletions can be held up.
struct Gates {
    store: SqliteKeys,
    answer: Gate,
    deletion: Gate,
    deleted: Notify,
}

struct Held(Arc<Gates>);

#[async_trait]
impl KeyStore for Held {
    async fn of(&self, owner: &Owner) -> Result<(KeyId, Secret), Error> {
        let answer = self.0.store.of(owner).await;
        self.0.answer.pass().await;
        answer
    }

    async fn by_id(&self, id: KeyId) -> Result<Option<Secret>, Error> {
        self.0.store.by_id(id).await
    }

    async fn has(&self, owner: &Owner) -> Result<bool, Error> {
        self.0.store.has(owner).await
    }

    /// As stores do: who stops waiting does not call it back.
    async fn destroy(&self, owner: &Owner, term: Term) -> Result<(), Error> {
        let (gates, owner) = (Arc::clone(&self.0), owner.clone());
        let deletion = tokio::spawn(async move {
            gates.deletion.pass().await;
            let deleted = gates.store.destroy(&owner, term).await;
            gates.deleted.notify_one();
            deleted
        });
        deletion.await.unwrap()
    }

    async fn overwrite(&self) -> Result<(), Error> {
        self.0.store.overwrite().await
    }

    async fn close(&self) {
        self.0.store.close().await;
    }
}

struct Bench {
    keys: Arc<DataKeys>,
    gates: Arc<Gates>,
    _directory: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let gates = Arc::new(Gates {
            store: SqliteKeys::open(&directory.path().join(DATA_KEYS_FILE))
                .await
                .unwrap(),
            answer: Gate::new(),
            deletion: Gate::new(),
            deleted: Notify::new(),
        });
        Self {
            keys: Arc::new(DataKeys::new(Held(Arc::clone(&gates)))),
            gates,
            _directory: directory,
        }
    }

    async fn key(&self) -> Arc<DataKey> {
        self.keys.of("alpha", "ann", Term::default()).await.unwrap()
    }

    async fn destroy(&self) {
        self.keys.destroy("alpha", "ann", Term::default()).await.unwrap();
    }
}

fn id(key: &Arc<DataKey>) -> KeyId {
    key_id_of(&key.seal(&[0; 16], Vec::new()).unwrap()).unwrap()
}

#[tokio::test]
async fn who_asked_before_a_key_was_destroyed_does_not_bring_it_back() {
    let bench = Bench::new().await;
    bench.gates.answer.shut();
    let keys = Arc::clone(&bench.keys);
    let asked = tokio::spawn(async move { keys.of("alpha", "ann", Term::default()).await });
    bench.gates.answer.arrived.notified().await;
    bench.destroy().await;
    bench.gates.answer.open();
    let old = asked.await.unwrap().unwrap();
    let new = bench.key().await;
    assert_ne!(id(&old), id(&new));
    assert!(Arc::ptr_eq(&new, &bench.key().await), "the new one is kept");
}

#[tokio::test]
async fn a_key_that_may_go_at_any_moment_is_not_kept() {
    let bench = Bench::new().await;
    let old = bench.key().await;
    bench.gates.deletion.shut();
    let keys = Arc::clone(&bench.keys);
    let erasing = tokio::spawn(async move { keys.destroy("alpha", "ann", Term::default()).await });
    bench.gates.deletion.arrived.notified().await;
    assert_eq!(id(&bench.key().await), id(&old), "not deleted yet");
    // Nobody waits for the deletion any more, and nobody will know of its end.
    erasing.abort();
    assert!(erasing.await.unwrap_err().is_cancelled());
    assert_eq!(id(&bench.key().await), id(&old));
    bench.gates.deletion.open();
    bench.gates.deleted.notified().await;
    let new = bench.key().await;
    assert_ne!(id(&new), id(&old));
    bench.destroy().await;
    assert_ne!(id(&bench.key().await), id(&new));
}

#[tokio::test]
async fn two_who_destroy_the_same_key_do_not_hide_each_other() {
    let bench = Bench::new().await;
    bench.key().await;
    bench.gates.deletion.shut();
    let keys = Arc::clone(&bench.keys);
    let slow = tokio::spawn(async move { keys.destroy("alpha", "ann", Term::default()).await });
    bench.gates.deletion.arrived.notified().await;
    // Another one gets by while the first is still on its way.
    bench
        .gates
        .store
        .destroy(&Owner::new("alpha", "ann"), Term::default())
        .await
        .unwrap();
    {
        let mut cache = bench.keys.cache.lock();
        cache
            .let_go(&Owner::new("alpha", "ann"), Term::default())
            .unwrap();
        cache.gone(&Owner::new("alpha", "ann"), Term::default());
    }
    let between = bench.key().await;
    bench.gates.deletion.open();
    slow.await.unwrap().unwrap();
    assert_ne!(id(&bench.key().await), id(&between));
}

#[tokio::test]
async fn keys_are_known_for_one_term() {
    let bench = Bench::new().await;
    let (first, second) = (Term::default(), Term::default().next());
    let old = bench.key().await;
    assert!(Arc::ptr_eq(&old, &bench.key().await));
    // Somebody else was the writer meanwhile.
    bench
        .gates
        .store
        .destroy(&Owner::new("alpha", "ann"), first)
        .await
        .unwrap();
    let new = bench.keys.of("alpha", "ann", second).await.unwrap();
    assert_ne!(id(&new), id(&old));
    for late in [
        bench.keys.of("alpha", "ann", first).await.map(drop),
        bench.keys.destroy("alpha", "ann", first).await,
    ] {
        assert!(matches!(late, Err(Error::NotWriter)), "{late:?}");
    }
    let kept = bench.keys.of("alpha", "ann", second).await.unwrap();
    assert!(Arc::ptr_eq(&kept, &new));
}

#[tokio::test]
async fn a_destroyed_key_opens_nothing_for_the_next_reader() {
    let bench = Bench::new().await;
    let event = [3; 16];
    let sealed = bench.key().await.seal(&event, b"{}".to_vec()).unwrap();
    let open = async |opener: &Opener| bench.keys.open_details(opener, &event, &sealed).await.unwrap();
    assert_eq!(open(&Opener::default()).await.as_deref(), Some(&b"{}"[..]));
    bench.destroy().await;
    let opener = Opener::default();
    assert_eq!(open(&opener).await, None);
    bench.key().await;
    assert_eq!(open(&opener).await, None);
}

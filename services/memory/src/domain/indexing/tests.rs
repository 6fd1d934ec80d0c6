//! What is erased, or done by somebody else, while vectors are being made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use harombe_embedding::{Embedder, Error, Model, Purpose};
use harombe_rpc::Metrics;
use harombe_sql::StoreConfig;
use harombe_testkit::postgres::Database;
use harombe_types::{Clock, EventId, SystemClock};
use harombe_vectors::Vectors;
use uuid::Uuid;

use super::*;
use crate::domain::recall::{Meanings, Workers};
use crate::domain::{
    Actor, Erasure, Generation, Memory, MemoryLimits, NewMemory, Owner, Saving, Source, Which,
};
use crate::metrics::IndexNumbers;
use crate::store::{Opened, Outbox, contract, open};

/// Three batches of memories, the last one not full.
const MEMORIES: usize = 150;

type During = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A model by whose first work something happens.
struct Slow {
    model: Model,
    calls: AtomicUsize,
    during: During,
}

#[async_trait]
impl Embedder for Slow {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn embed(&self, texts: Vec<String>, _: Purpose) -> Result<Vec<Vec<f32>>, Error> {
        if self.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            (self.during)().await;
        }
        Ok(vec![vec![1.0, 0.0]; texts.len()])
    }
}

struct Rig {
    opened: Opened,
    folder: tempfile::TempDir,
    memories: Vec<Memory>,
    _database: Option<Database>,
}

fn ann() -> Owner {
    Owner {
        tenant: "acme".parse().unwrap(),
        subject: "ann".parse().unwrap(),
    }
}

fn fact(number: usize) -> NewMemory {
    NewMemory {
        time: SystemClock.now(),
        ..contract::memories::fact(&format!("box {number} is in the cellar"))
    }
}

impl Rig {
    /// Memories that have no vectors, and that no outbox tells of.
    async fn new(database: Option<Database>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            postgres: database.as_ref().map(Database::config),
        };
        let opened = open(&config, folder.path(), Outbox::Kept).await.unwrap();
        let saving = Saving {
            owner: ann(),
            memories: (0..MEMORIES).map(fact).collect(),
            event: EventId::generate(&SystemClock),
            actor: Actor::Person,
            now: SystemClock.now(),
            most: MemoryLimits {
                per_subject: 1000,
                per_tenant: 1000,
            },
        };
        let saved = opened.memories.save(saving).await.unwrap();
        for step in &saved.steps {
            opened.memories.recorded(step, 1).await.unwrap();
        }
        let works = opened.memories.outbox(1000).await.unwrap();
        let works: Vec<u64> = works.iter().map(|work| work.seq).collect();
        opened.memories.finished(&works).await.unwrap();
        Self {
            opened,
            folder,
            memories: saved.memories,
            _database: database,
        }
    }

    /// Who writes vectors, with a model by whose first work this happens.
    fn indexer(&self, during: During) -> Indexer {
        let metrics = Metrics::new();
        let (workers, numbers) = (Workers::new(1), IndexNumbers::new(&metrics));
        let source = Source::Folder("a model".into());
        let config = ModelsConfig {
            models: self.folder.path().join("models"),
            source: Some(source.clone()),
            threads: 1,
            cache: 1,
        };
        let models = Models::new(config, |_| panic!("no upstream"), numbers.clone());
        let deps = IndexerDeps {
            memories: Arc::clone(&self.opened.memories),
            generations: Arc::clone(&self.opened.generations),
            workers,
            meanings: Meanings::opening(),
            models,
            vectors: harombe_vectors::Config::default(),
            folder: self.folder.path().join("vectors"),
            clock: Arc::new(SystemClock),
            numbers,
            opened: Arc::default(),
        };
        let model = Slow {
            model: model(),
            calls: AtomicUsize::new(0),
            during,
        };
        let mut indexer = Indexer::new(deps, Uuid::now_v7());
        indexer.model = Some((source, Arc::new(model)));
        indexer
    }
}

fn model() -> Model {
    Model {
        name: "slow".to_owned(),
        digest: "0123456789abcdef".to_owned(),
        dimension: 2,
        max_tokens: 10,
    }
}

fn vectors(indexer: &Indexer) -> Arc<dyn Vectors> {
    indexer.deps.opened.lock().clone().unwrap()
}

/// How many vectors there are, and of these memories.
async fn there(vectors: &dyn Vectors, of: Vec<Uuid>) -> (u64, usize) {
    let generation = Generation::of(&model(), Source::Folder("a model".into()));
    let mut least = (u64::MAX, usize::MAX);
    for collection in generation.collections() {
        let count = vectors.count(&collection).await.unwrap();
        let found = vectors.get(&collection, "acme", of.clone()).await.unwrap();
        least = least.min((count, found.len()));
    }
    least
}

#[tokio::test]
async fn what_is_erased_between_two_batches_gets_no_vector() {
    let rig = Rig::new(None).await;
    let (store, gone) = (Arc::clone(&rig.opened.memories), [10, 100, 149]);
    let gone = gone.map(|at| (rig.memories[at].id, rig.memories[at].point));
    let during = move || -> BoxFuture<'static, ()> {
        let store = Arc::clone(&store);
        Box::pin(async move {
            for (id, _) in gone {
                let erasure = Erasure {
                    owner: ann(),
                    which: Which::One(id),
                    event: EventId::generate(&SystemClock),
                    actor: Actor::Person,
                    now: SystemClock.now(),
                };
                store.erase(erasure).await.unwrap();
            }
        })
    };
    let mut indexer = rig.indexer(Box::new(during));
    assert_eq!(indexer.round().await.unwrap(), Round::Done);
    let points = gone.map(|(_, point)| point).to_vec();
    let vectors = vectors(&indexer);
    assert_eq!(
        there(&*vectors, points).await,
        (MEMORIES as u64 - 3, 0),
        "nothing would ever remove them"
    );
    vectors.close().await;
}

#[tokio::test]
async fn who_was_overtaken_while_embedding_writes_nothing() {
    let rig = Rig::new(Some(Database::create().await)).await;
    let generations = Arc::clone(&rig.opened.generations);
    let during = move || -> BoxFuture<'static, ()> {
        let generations = Arc::clone(&generations);
        Box::pin(async move {
            // it took so long that another has done everything meanwhile, and has gone again
            let (other, later) = (Uuid::now_v7(), SystemClock.now().plus(Duration::from_secs(61)));
            let until = later.plus(Duration::from_secs(60));
            assert!(generations.hold_indexing(other, later, until).await.unwrap());
            generations.let_go_of_indexing(other).await.unwrap();
        })
    };
    let mut indexer = rig.indexer(Box::new(during));
    let fault = indexer.round().await.unwrap_err();
    assert!(matches!(fault, Fault::Superseded), "{fault}");
    let vectors = vectors(&indexer);
    assert_eq!(there(&*vectors, Vec::new()).await.0, 0);
    // the next round takes it back
    assert_eq!(indexer.round().await.unwrap(), Round::Done);
    assert_eq!(there(&*vectors, Vec::new()).await.0, MEMORIES as u64);
    indexer.let_go().await.unwrap();
    vectors.close().await;
}

//! Puts together what finds memories: the indexes of words, the vectors, and what keeps both as the memories are.

use std::sync::Arc;

use harombe_embedding::Sender;
use harombe_rpc::Metrics;
use harombe_types::Clock;
use harombe_vectors::Vectors;
use parking_lot::Mutex;
use uuid::Uuid;

use super::Deps;
use crate::Config;
use crate::domain::Source;
use crate::domain::indexing::{Indexer, IndexerDeps, Models, ModelsConfig};
use crate::domain::recall::{Meanings, Recaller, Shelf, Workers};
use crate::metrics::{IndexNumbers, RecallNumbers};
use crate::peers::Egress;
use crate::store::{Generations, MemoryStore};
use crate::tasks::Index;

/// The folder of vectors, in the service's own.
const VECTORS: &str = "vectors";

/// The vectors, once they are open.
pub(super) type Opened = Arc<Mutex<Option<Arc<dyn Vectors>>>>;

/// What finds memories.
pub(super) struct Recall {
    pub(super) recaller: Recaller,
    /// By which a memory that was saved is told to the vectors at once.
    pub(super) meanings: Meanings,
    /// Keeps the vectors as the memories are.
    pub(super) index: Index,
    pub(super) vectors: Opened,
}

impl Recall {
    pub(super) fn new(
        config: &Config,
        deps: &Deps,
        memories: &Arc<dyn MemoryStore>,
        generations: Arc<dyn Generations>,
    ) -> Self {
        let (searched, indexed) = numbers(&deps.metrics);
        let workers = Workers::new(config.recall.threads);
        let most = usize::try_from(config.recall.index_cache.as_bytes()).unwrap_or(usize::MAX);
        let shelf = Shelf::new(Arc::clone(memories), workers.clone(), most, searched.clone());
        let meanings = Meanings::opening();
        let clock: Arc<dyn Clock> = Arc::clone(&deps.clock);
        let recaller = Recaller::new(
            (Arc::clone(memories), shelf),
            meanings.clone(),
            Arc::clone(&clock),
            config.recall.dense_within.as_duration(),
            searched,
        );
        let vectors = Opened::default();
        let indexer = IndexerDeps {
            memories: Arc::clone(memories),
            generations,
            workers,
            meanings: meanings.clone(),
            models: models(config, deps, indexed.clone()),
            vectors: config.vectors.clone(),
            folder: deps.data.join(VECTORS),
            clock,
            numbers: indexed.clone(),
            opened: Arc::clone(&vectors),
        };
        let index = Index {
            indexer: Indexer::new(indexer, Uuid::now_v7()),
            meanings: meanings.clone(),
            numbers: indexed,
        };
        Self {
            recaller,
            meanings,
            index,
            vectors,
        }
    }
}

fn numbers(metrics: &Metrics) -> (RecallNumbers, IndexNumbers) {
    (RecallNumbers::new(metrics), IndexNumbers::new(metrics))
}

fn models(config: &Config, deps: &Deps, numbers: IndexNumbers) -> Models {
    let embedding = &config.embedding;
    let upstream = embedding.upstream.as_ref().map(|upstream| Source::Upstream {
        name: upstream.name.clone(),
        model: upstream.model.clone(),
        dimension: upstream.dimension,
    });
    let config = ModelsConfig {
        models: deps.models.clone(),
        source: upstream.or_else(|| embedding.folder.clone().map(Source::Folder)),
        threads: embedding.threads,
        cache: embedding.cache,
    };
    let egress = deps.egress_proxy.clone();
    let way = move |upstream: &str| Arc::new(Egress::to(egress.clone(), upstream)) as Arc<dyn Sender>;
    Models::new(config, way, numbers)
}

//! The collections of the test server, and what is wrong with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use qdrant_client::qdrant::vectors_config::Config as VectorsKind;
use qdrant_client::qdrant::{CreateCollection, Distance as Said, PayloadSchemaInfo};
use qdrant_edge::{Distance, EdgeConfig, EdgeShard, EdgeVectorParams, HnswIndexConfig, OperationError};
use tonic::{Request, Status};

pub(super) struct State {
    folder: PathBuf,
    shards: RwLock<BTreeMap<String, Arc<Collection>>>,
    made: AtomicU32,
    pub(super) calls: AtomicU32,
    pub(super) failing: AtomicU32,
    pub(super) delay: Mutex<Duration>,
    pub(super) key: Mutex<Option<String>>,
}

pub(super) struct Collection {
    pub(super) shard: EdgeShard,
    pub(super) made: CreateCollection,
    pub(super) schema: Mutex<BTreeMap<String, PayloadSchemaInfo>>,
    /// The engine's updates come one at a time.
    pub(super) writing: Mutex<()>,
}

impl State {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            shards: RwLock::default(),
            made: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            failing: AtomicU32::new(0),
            delay: Mutex::default(),
            key: Mutex::default(),
        }
    }

    /// The message of a call that may go on.
    pub(super) async fn admit<T>(&self, request: Request<T>) -> Result<T, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let key = self.key.lock().clone();
        if let Some(key) = key {
            let shown = request.metadata().get("api-key");
            if shown.is_none_or(|shown| shown.as_bytes() != key.as_bytes()) {
                return Err(Status::unauthenticated("Invalid API key or JWT"));
            }
        }
        let fail = |left: u32| left.checked_sub(1);
        if self
            .failing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fail)
            .is_ok()
        {
            return Err(Status::unavailable("told to fail"));
        }
        let delay = *self.delay.lock();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        Ok(request.into_inner())
    }

    pub(super) fn collection(&self, name: &str) -> Result<Arc<Collection>, Status> {
        let found = self.shards.read().get(name).map(Arc::clone);
        found.ok_or_else(|| Status::not_found(format!("Not found: Collection `{name}` doesn't exist!")))
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.shards.read().keys().cloned().collect()
    }

    pub(super) fn make(&self, request: CreateCollection) -> Result<(), Status> {
        let mut shards = self.shards.write();
        let name = request.collection_name.clone();
        if shards.contains_key(&name) {
            return Err(Status::already_exists(format!(
                "Wrong input: Collection `{name}` already exists!"
            )));
        }
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let folder = self.folder.join(format!("{name}-{number}"));
        fs::create_dir_all(&folder).map_err(|error| Status::internal(error.to_string()))?;
        let shard = EdgeShard::new(&folder, engine(&request)?).map_err(|error| failed(&error))?;
        let collection = Collection {
            shard,
            made: request,
            schema: Mutex::default(),
            writing: Mutex::default(),
        };
        shards.insert(name, Arc::new(collection));
        Ok(())
    }

    pub(super) fn remove(&self, name: &str) -> bool {
        self.shards.write().remove(name).is_some()
    }
}

fn engine(request: &CreateCollection) -> Result<EdgeConfig, Status> {
    let wrong = |what: &str| Status::invalid_argument(format!("Wrong input: {what}"));
    let config = request
        .vectors_config
        .as_ref()
        .and_then(|config| config.config.as_ref());
    let Some(VectorsKind::Params(params)) = config else {
        return Err(wrong("vectors_config"));
    };
    if params.distance != Said::Cosine as i32 {
        return Err(wrong("distance"));
    }
    let size = usize::try_from(params.size).map_err(|_| wrong("size"))?;
    let vector = EdgeVectorParams::builder(size, Distance::Cosine).build();
    let mut graph = HnswIndexConfig::default();
    if let Some(asked) = &request.hnsw_config {
        let number = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
        graph.m = number(asked.m).unwrap_or(graph.m);
        graph.payload_m = number(asked.payload_m);
        graph.ef_construct = number(asked.ef_construct).unwrap_or(graph.ef_construct);
    }
    Ok(EdgeConfig::builder()
        .vector("", vector)
        .hnsw_config(graph)
        .build())
}

/// As Qdrant tells the engine's failures.
pub(super) fn failed(error: &OperationError) -> Status {
    match error {
        OperationError::WrongVectorDimension { .. } | OperationError::ValidationError { .. } => {
            Status::invalid_argument(format!("Wrong input: {error}"))
        }
        _ => Status::internal(error.to_string()),
    }
}

//! One collection in its folder: opening it, and keeping the engine's failures from becoming ours.

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use qdrant_edge::external::serde_json;
use qdrant_edge::{
    CountRequest, Distance, EdgeConfig as EngineConfig, EdgeOptimizersConfig, EdgeShard, EdgeVectorParams,
    HnswIndexConfig, OperationError, OperationResult, PointId, ScrollRequest, UpdateOperation, WalOptions,
    WithPayloadInterface, WithVector,
};

use super::{convert, journal};
use crate::{Collection, EdgeConfig, Error};

/// Links of each point in the graph of its owner. There is no graph over several owners: nobody searches it.
const LINKS: usize = 16;
const CANDIDATES_BUILDING: usize = 128;
/// Searched one after the other, so few; a merge is of two at the least.
const SEGMENTS: usize = 2;
/// Times that a flush meets the moment in which an index is put in place.
const FLUSHES: u32 = 100;
const PAGE: usize = 1_000;
const CONFIG: &str = "edge_config.json";
const LEFTOVERS: &str = "temp_segments";

pub(super) struct Shard {
    pub(super) collection: Collection,
    pub(super) folder: PathBuf,
    /// None: closed. Taken for writing only with `indexing` held, as building an index reads it all the while.
    engine: RwLock<Option<EdgeShard>>,
    /// Held while an index is built, and by whoever must have the engine alone.
    pub(super) indexing: tokio::sync::Mutex<()>,
    unseen: Mutex<Unseen>,
    damaged: AtomicBool,
}

/// What was written since the index was last looked at.
#[derive(Clone, Copy)]
pub(super) struct Unseen {
    pub(super) points: u64,
    pub(super) last: Instant,
}

/// What opening found.
pub(super) enum Opened {
    Existing(Shard),
    Created(Shard),
    /// It is there and cannot be used.
    Unusable(String),
}

impl Shard {
    /// # Errors
    /// [`Error::Dimension`], or the folder cannot be written.
    pub(super) fn open(folder: &Path, collection: &Collection, config: &EdgeConfig) -> Result<Opened, Error> {
        let there = folder.exists();
        if let Some(dimension) = dimension(folder)
            && dimension != collection.dimension
        {
            return Err(Error::Dimension {
                name: collection.name.clone(),
                there: dimension,
                asked: collection.dimension,
            });
        }
        if there {
            let leftovers = folder.join(LEFTOVERS);
            if leftovers.exists() {
                fs::remove_dir_all(&leftovers).map_err(Error::io("cannot remove", &leftovers))?;
            }
            journal::shorten(folder)?;
        } else {
            fs::create_dir_all(folder).map_err(Error::io("cannot make", folder))?;
        }
        let loaded = guarded(|| {
            let config = engine_config(collection, config);
            let engine = if there {
                EdgeShard::load(folder, Some(config))?
            } else {
                EdgeShard::new(folder, config)?
            };
            complete(&engine)?;
            Ok(engine)
        });
        match loaded {
            Ok(engine) => {
                let shard = Self::new(folder, collection, engine, there);
                Ok(if there {
                    Opened::Existing(shard)
                } else {
                    Opened::Created(shard)
                })
            }
            Err(reason) if there => Ok(Opened::Unusable(reason.to_string())),
            Err(reason) => Err(Error::Damaged {
                name: collection.name.clone(),
                reason: reason.to_string(),
            }),
        }
    }

    fn new(folder: &Path, collection: &Collection, engine: EdgeShard, there: bool) -> Self {
        Self {
            collection: collection.clone(),
            folder: folder.to_owned(),
            engine: RwLock::new(Some(engine)),
            indexing: tokio::sync::Mutex::new(()),
            // What was written before the last end may have no index yet.
            unseen: Mutex::new(Unseen {
                points: u64::from(there),
                last: Instant::now(),
            }),
            damaged: AtomicBool::new(false),
        }
    }

    /// Asks the engine.
    pub(super) fn read<T>(&self, ask: impl FnOnce(&EdgeShard) -> OperationResult<T>) -> Result<T, Error> {
        let engine = self.engine.read();
        let Some(engine) = &*engine else {
            return Err(Error::Missing {
                name: self.collection.name.clone(),
            });
        };
        guarded(|| ask(engine)).map_err(|failure| self.failed(failure))
    }

    /// Has the engine do something; it is durable after [`Self::flush`].
    pub(super) fn write(&self, points: usize, operation: UpdateOperation) -> Result<(), Error> {
        self.read(|engine| engine.update(operation))?;
        let mut unseen = self.unseen.lock();
        unseen.points += points as u64;
        unseen.last = Instant::now();
        Ok(())
    }

    /// Returns when all that was written is durable. Only one at a time, and nothing else that writes.
    pub(super) fn flush(&self) -> Result<(), Error> {
        for _ in 0..FLUSHES {
            // The engine's flush panics, rather than wait, in the moment in which an index is put in place. This waits.
            self.read(|engine| Ok(engine.info().segments_count))?;
            let engine = self.engine.read();
            let Some(engine) = &*engine else {
                return Ok(());
            };
            match catch_unwind(AssertUnwindSafe(|| engine.flush())) {
                Ok(()) => return Ok(()),
                Err(panic) if text(&*panic).contains("lock acquired") => {}
                Err(panic) => return Err(self.failed(Failure::Panicked(text(&*panic)))),
            }
        }
        Err(Error::Busy)
    }

    /// Ends the engine's use of the folder. `indexing` is held, or nobody builds an index any more.
    pub(super) fn close(&self) {
        let engine = self.engine.write().take();
        // It flushes, and panics when it cannot.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(engine)));
    }

    /// Gives back what the engine's log holds; `indexing` is held. Searches wait for as long as loading takes.
    pub(super) fn shorten_journal(&self, config: &EdgeConfig) -> Result<(), Error> {
        let mut place = self.engine.write();
        let engine = place.take();
        let loaded = guarded(|| {
            drop(engine);
            journal::shorten(&self.folder)
                .map_err(|error| OperationError::service_error(error.to_string()))?;
            EdgeShard::load(&self.folder, Some(engine_config(&self.collection, config)))
        });
        *place = Some(loaded.map_err(|failure| self.failed(failure))?);
        Ok(())
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Reads everything there is.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(super) fn verify(&self) -> Result<(), Error> {
        let mut offset = None;
        loop {
            let request = ScrollRequest {
                offset,
                limit: Some(PAGE),
                with_payload: Some(WithPayloadInterface::Bool(true)),
                with_vector: WithVector::Bool(true),
                ..ScrollRequest::default()
            };
            (_, offset) = self.read(|engine| engine.scroll(request))?;
            if offset.is_none() {
                self.damaged.store(false, Ordering::Relaxed);
                return Ok(());
            }
        }
    }

    pub(super) fn unseen(&self) -> Unseen {
        *self.unseen.lock()
    }

    pub(super) fn seen(&self) {
        self.unseen.lock().points = 0;
    }

    fn failed(&self, failure: Failure) -> Error {
        let name = self.collection.name.clone();
        match failure {
            Failure::Engine(
                error
                @ (OperationError::WrongVectorDimension { .. } | OperationError::ValidationError { .. }),
            ) => Error::Invalid(error.to_string()),
            Failure::Engine(OperationError::Timeout { .. } | OperationError::Cancelled { .. }) => Error::Busy,
            failure => {
                self.damaged.store(true, Ordering::Relaxed);
                Error::Damaged {
                    name,
                    reason: failure.to_string(),
                }
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Engine(#[from] OperationError),
    #[error("the engine gave up: {0}")]
    Panicked(String),
}

/// The engine panics on files that are not what it wrote.
fn guarded<T>(work: impl FnOnce() -> OperationResult<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Failure::Engine),
        Err(panic) => Err(Failure::Panicked(text(&*panic))),
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("for a reason that it does not say")
        .to_owned()
}

/// Makes the indexes that are missing, and reads a little: what cannot be used should fail here.
fn complete(engine: &EdgeShard) -> OperationResult<()> {
    let info = engine.info();
    let mut made = false;
    for (field, operation) in convert::indexes() {
        if !info.payload_schema.contains_key(&convert::path(field)) {
            engine.update(operation)?;
            made = true;
        }
    }
    if made {
        engine.flush();
    }
    engine.count(CountRequest {
        filter: None,
        exact: true,
    })?;
    let (first, _) = engine.scroll(ScrollRequest {
        limit: Some(1),
        with_vector: WithVector::Bool(true),
        ..ScrollRequest::default()
    })?;
    let ids: Vec<PointId> = first.iter().map(|record| record.id).collect();
    engine.retrieve(&ids, None, None)?;
    Ok(())
}

fn engine_config(collection: &Collection, config: &EdgeConfig) -> EngineConfig {
    let from = usize::try_from(config.index_from.as_bytes() >> 10).unwrap_or(usize::MAX);
    EngineConfig::builder()
        .vector(
            "",
            EdgeVectorParams::builder(collection.dimension as usize, Distance::Cosine)
                .on_disk(true)
                .build(),
        )
        .hnsw_config(HnswIndexConfig {
            m: 0,
            payload_m: Some(LINKS),
            ef_construct: CANDIDATES_BUILDING,
            full_scan_threshold: from,
            max_indexing_threads: config.index_threads as usize,
            on_disk: Some(true),
            inline_storage: None,
        })
        .optimizers(EdgeOptimizersConfig {
            default_segment_number: Some(SEGMENTS),
            indexing_threshold: Some(from),
            ..EdgeOptimizersConfig::default()
        })
        .wal_options(WalOptions {
            segment_capacity: journal::FILE,
            ..WalOptions::default()
        })
        .build()
}

/// What the engine wrote down about the folder's vectors; None when that cannot be read.
pub(super) fn dimension(folder: &Path) -> Option<u32> {
    let text = fs::read(folder.join(CONFIG)).ok()?;
    let config: EngineConfig = serde_json::from_slice(&text).ok()?;
    u32::try_from(config.vectors.get("")?.size).ok()
}

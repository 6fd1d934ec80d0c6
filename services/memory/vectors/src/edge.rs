//! Vectors in this process, kept by Qdrant Edge: a folder for each collection, under one folder that one process has.
//!
//! The engine's calls block, so they run on threads of their own: several that search, one that writes, one that builds
//! indexes. Each has a bounded queue.

mod convert;
mod folder;
mod indexer;
mod journal;
mod lock;
mod pool;
mod shard;
mod snapshot;
mod writer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use harombe_types::Clock;
use parking_lot::{Mutex, RwLock};
use qdrant_edge::{
    CountRequest, NamedQuery, PointId, QueryEnum, ScrollRequest, SearchParams, SearchRequest,
    WithPayloadInterface, WithVector,
};
use uuid::Uuid;

use crate::{Collection, EdgeConfig, Ensured, Error, Filter, Hit, Point, Vectors, check};
use indexer::Indexer;
use lock::FolderLock;
use pool::Pool;
use shard::{Opened, Shard};
use writer::{Change, Writer};

/// Qdrant Edge in one folder. Ended by [`Vectors::close`]; dropped without it, its threads end as soon as they can.
pub struct Edge {
    home: Arc<Home>,
    readers: Arc<Pool>,
    writer: Arc<Writer>,
    indexer: Arc<Indexer>,
}

/// What the threads share.
struct Home {
    folder: PathBuf,
    config: EdgeConfig,
    clock: Arc<dyn Clock>,
    shards: RwLock<BTreeMap<String, Arc<Shard>>>,
    lock: Mutex<Option<FolderLock>>,
}

impl Edge {
    /// The collections in `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, or it cannot be written.
    pub fn open(config: &EdgeConfig, folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::io("cannot make", folder))?;
        let lock = FolderLock::take(folder)?;
        folder::sweep(folder)?;
        let home = Arc::new(Home {
            folder: folder.to_owned(),
            config: config.clone(),
            clock,
            shards: RwLock::default(),
            lock: Mutex::new(Some(lock)),
        });
        let readers = Pool::start("vectors-search", config.search_threads, config.queued_searches)?;
        let writer = Writer::start(folder, config.queued_points, config.min_free.as_bytes())?;
        let writer = Arc::new(writer);
        let indexer = Indexer::start(Arc::clone(&home), Arc::clone(&writer))?;
        Ok(Self {
            home,
            readers: Arc::new(readers),
            writer,
            indexer: Arc::new(indexer),
        })
    }

    /// Looks at a collection's index now, instead of when it is due; whether anything was built.
    ///
    /// # Errors
    /// There is no such collection, or the engine fails.
    pub async fn index(&self, collection: &Collection) -> Result<bool, Error> {
        self.indexer.look(self.shard(collection)?).await
    }

    fn shard(&self, collection: &Collection) -> Result<Arc<Shard>, Error> {
        let shards = self.home.shards.read();
        let Some(shard) = shards.get(&collection.name) else {
            return Err(Error::Missing {
                name: collection.name.clone(),
            });
        };
        self.home.same_dimension(shard, collection)?;
        Ok(Arc::clone(shard))
    }

    /// What the engine answers, from one of the threads that search.
    async fn read<T: Send + 'static>(
        &self,
        collection: &Collection,
        ask: impl FnOnce(&Shard) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shard = self.shard(collection)?;
        self.readers.run(move || ask(&shard)).await
    }
}

impl Edge {
    async fn count_where(
        &self,
        collection: &Collection,
        filter: Option<qdrant_edge::Filter>,
    ) -> Result<u64, Error> {
        let request = CountRequest { filter, exact: true };
        let count = move |shard: &Shard| shard.read(|engine| engine.count(request));
        self.read(collection, count).await.map(|count| count as u64)
    }
}

impl Home {
    fn same_dimension(&self, shard: &Shard, asked: &Collection) -> Result<(), Error> {
        if shard.collection.dimension == asked.dimension {
            return Ok(());
        }
        Err(Error::Dimension {
            name: asked.name.clone(),
            there: shard.collection.dimension,
            asked: asked.dimension,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Opens or makes a collection that is not open; by the thread that writes.
    fn open(&self, collection: &Collection) -> Result<Ensured, Error> {
        let path = self.path(&collection.name);
        let (shard, ensured) = match Shard::open(&path, collection, &self.config)? {
            Opened::Existing(shard) => (shard, Ensured::Existing),
            Opened::Created(shard) => (shard, Ensured::Created),
            Opened::Unusable(reason) => return self.rebuild(collection, reason),
        };
        self.keep(shard);
        Ok(ensured)
    }

    /// Puts aside what is there and makes the collection anew.
    fn rebuild(&self, collection: &Collection, reason: String) -> Result<Ensured, Error> {
        tracing::warn!(
            collection = collection.name,
            reason,
            "vectors cannot be used and are put aside"
        );
        folder::put_aside(&self.folder, &collection.name, self.clock.now())?;
        match Shard::open(&self.path(&collection.name), collection, &self.config)? {
            Opened::Existing(shard) | Opened::Created(shard) => self.keep(shard),
            Opened::Unusable(reason) => {
                return Err(Error::Damaged {
                    name: collection.name.clone(),
                    reason,
                });
            }
        }
        Ok(Ensured::Rebuilt { reason })
    }

    fn keep(&self, shard: Shard) {
        let name = shard.collection.name.clone();
        self.shards.write().insert(name, Arc::new(shard));
    }

    /// After a failure: opens again and reads all of it, and puts it aside when that fails too.
    fn repair(&self, shard: &Shard) -> Result<Ensured, Error> {
        let collection = &shard.collection;
        self.shards.write().remove(&collection.name);
        shard.close();
        let ensured = self.open(collection)?;
        let opened = self.shards.read().get(&collection.name).map(Arc::clone);
        let Some(Err(fault)) = opened.as_ref().map(|opened| opened.verify()) else {
            return Ok(ensured);
        };
        self.shards.write().remove(&collection.name);
        if let Some(opened) = opened {
            opened.close();
        }
        self.rebuild(collection, fault.to_string())
    }

    fn drop_collection(&self, name: &str) -> Result<(), Error> {
        let shard = self.shards.write().remove(name);
        if let Some(shard) = shard {
            shard.close();
        }
        folder::remove(&self.folder, name)
    }
}

#[async_trait]
impl Vectors for Edge {
    async fn ensure(&self, collection: &Collection) -> Result<Ensured, Error> {
        check::collection(collection)?;
        let (home, collection) = (Arc::clone(&self.home), collection.clone());
        let known = home.shards.read().get(&collection.name).map(Arc::clone);
        let Some(shard) = known else {
            // Another may have asked for it in the meantime.
            let open = move || {
                let known = home.shards.read().get(&collection.name).map(Arc::clone);
                match known {
                    Some(shard) => home
                        .same_dimension(&shard, &collection)
                        .map(|()| Ensured::Existing),
                    None => home.open(&collection),
                }
            };
            return self.writer.alone(open).await;
        };
        home.same_dimension(&shard, &collection)?;
        if !shard.is_damaged() {
            return Ok(Ensured::Existing);
        }
        let _alone = shard.indexing.lock().await;
        let damaged = Arc::clone(&shard);
        self.writer.alone(move || home.repair(&damaged)).await
    }

    async fn collections(&self) -> Result<Vec<Collection>, Error> {
        let home = Arc::clone(&self.home);
        let list = move || {
            let names = folder::names(&home.folder)?;
            let listed = names.into_iter().map(|name| Collection {
                dimension: shard::dimension(&home.path(&name)).unwrap_or(0),
                name,
            });
            Ok(listed.collect())
        };
        self.readers.run(list).await
    }

    async fn drop_collection(&self, name: &str) -> Result<(), Error> {
        check::name(name)?;
        let known = self.home.shards.read().get(name).map(Arc::clone);
        let _alone = match &known {
            Some(shard) => Some(shard.indexing.lock().await),
            None => None,
        };
        let (home, name) = (Arc::clone(&self.home), name.to_owned());
        self.writer.alone(move || home.drop_collection(&name)).await
    }

    async fn upsert(&self, collection: &Collection, points: Vec<Point>) -> Result<(), Error> {
        check::points(collection, &points)?;
        let shard = self.shard(collection)?;
        self.writer.change(shard, Change::Upsert(points)).await
    }

    async fn delete(&self, collection: &Collection, tenant: &str, ids: Vec<Uuid>) -> Result<(), Error> {
        check::ids(collection, &ids)?;
        let shard = self.shard(collection)?;
        let tenant = tenant.to_owned();
        self.writer.change(shard, Change::Delete { tenant, ids }).await
    }

    async fn search(
        &self,
        collection: &Collection,
        filter: &Filter,
        vector: &[f32],
        limit: u32,
        exact: bool,
    ) -> Result<Vec<Hit>, Error> {
        check::vector(collection, vector)?;
        check::limit(limit)?;
        let request = SearchRequest {
            query: QueryEnum::Nearest(NamedQuery::default_dense(vector.to_vec())),
            filter: Some(convert::filter(filter)),
            params: Some(SearchParams {
                hnsw_ef: Some(self.home.config.candidates.max(limit) as usize),
                exact,
                ..SearchParams::default()
            }),
            limit: limit as usize,
            offset: 0,
            with_payload: None,
            with_vector: None,
            score_threshold: None,
        };
        let search = move |shard: &Shard| {
            if limit == 0 {
                return Ok(Vec::new());
            }
            let found = shard.read(|engine| engine.search(request))?;
            let hits = found.into_iter().filter_map(|point| {
                Some(Hit {
                    id: convert::id(point.id)?,
                    score: point.score,
                })
            });
            Ok(check::ordered(hits.collect()))
        };
        self.read(collection, search).await
    }

    async fn get(
        &self,
        collection: &Collection,
        tenant: &str,
        ids: Vec<Uuid>,
    ) -> Result<Vec<(Uuid, Vec<f32>)>, Error> {
        check::ids(collection, &ids)?;
        let tenant = tenant.to_owned();
        let get = move |shard: &Shard| {
            let ids: Vec<_> = ids.into_iter().map(PointId::Uuid).collect();
            let payload = WithPayloadInterface::Fields(vec![convert::path("tenant")]);
            let records =
                shard.read(|engine| engine.retrieve(&ids, Some(payload), Some(WithVector::Bool(true))))?;
            let ours = records
                .into_iter()
                .filter(|record| convert::tenant(record) == Some(&*tenant));
            let vectors = ours.filter_map(|record| Some((convert::id(record.id)?, convert::vector(record)?)));
            Ok(vectors.collect())
        };
        self.read(collection, get).await
    }

    async fn ids(
        &self,
        collection: &Collection,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<(Uuid, String, u64)>, Error> {
        check::limit(limit)?;
        let first = after.map_or(Some(Uuid::nil()), check::next);
        let list = move |shard: &Shard| {
            let (Some(first), 1..) = (first, limit) else {
                return Ok(Vec::new());
            };
            let fields = vec![convert::path("tenant"), convert::path("seq")];
            let request = ScrollRequest {
                offset: Some(PointId::Uuid(first)),
                limit: Some(limit as usize),
                with_payload: Some(WithPayloadInterface::Fields(fields)),
                ..ScrollRequest::default()
            };
            let (records, _) = shard.read(|engine| engine.scroll(request))?;
            let listed = records.iter().filter_map(|record| {
                let tenant = convert::tenant(record).unwrap_or_default().to_owned();
                Some((convert::id(record.id)?, tenant, convert::seq(record).unwrap_or(0)))
            });
            Ok(listed.collect())
        };
        self.read(collection, list).await
    }

    async fn count(&self, collection: &Collection) -> Result<u64, Error> {
        self.count_where(collection, None).await
    }

    async fn count_of(&self, collection: &Collection, filter: &Filter) -> Result<u64, Error> {
        self.count_where(collection, Some(convert::filter(filter))).await
    }

    async fn settled(&self) -> Result<(), Error> {
        let home = Arc::clone(&self.home);
        let remove = move || folder::remove_put_aside(&home.folder);
        self.writer.alone(remove).await
    }

    async fn flush(&self) -> Result<(), Error> {
        let shards: Vec<_> = self.home.shards.read().values().map(Arc::clone).collect();
        for shard in shards {
            self.writer.change(shard, Change::Flush).await?;
        }
        Ok(())
    }

    async fn close(&self) {
        let (readers, writer) = (Arc::clone(&self.readers), Arc::clone(&self.writer));
        let (indexer, home) = (Arc::clone(&self.indexer), Arc::clone(&self.home));
        let close = move || {
            readers.close();
            indexer.close();
            writer.close();
            for shard in std::mem::take(&mut *home.shards.write()).into_values() {
                shard.close();
            }
            *home.lock.lock() = None;
        };
        // It only fails when the runtime ends, and the process with it.
        let _ = tokio::task::spawn_blocking(close).await;
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.readers.stop();
        self.indexer.stop();
        self.writer.stop();
    }
}

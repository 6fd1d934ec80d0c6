//! Vectors on a Qdrant server or cluster, by its gRPC.
//!
//! The messages and clients are the ones that Qdrant generates; the connection is ours (`harombe-rpc`), so that there is one
//! TLS stack, and deadlines and retries are the same as everywhere.

mod calls;
mod convert;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use qdrant_client::qdrant::{
    CollectionInfo, CountPoints, CreateFieldIndexCollection, DeleteCollection, GetCollectionInfoRequest,
    GetPoints, ListCollectionsRequest, QueryPoints, ScrollPoints, UpdateStatus,
};
use tonic::Code;
use uuid::Uuid;

use crate::{Collection, Ensured, Error, Filter, Hit, Point, QdrantConfig, Vectors, check};
use calls::{Calls, Failed};

/// Looks at a collection that somebody else is making at this moment, with a pause after each.
const LOOKS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

/// A Qdrant server. Nothing is sent before the first call.
pub struct Qdrant {
    calls: Calls,
    config: QdrantConfig,
    /// The dimension of each collection that was seen.
    known: RwLock<BTreeMap<String, u32>>,
}

impl Qdrant {
    /// The server that the configuration names. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Config`]: there is no url, a value cannot be used, or a file that it names cannot be read.
    pub fn connect(config: &QdrantConfig) -> Result<Self, Error> {
        Ok(Self {
            calls: Calls::connect(config)?,
            config: config.clone(),
            known: RwLock::default(),
        })
    }

    /// What the collection is called on the server.
    fn called(&self, name: &str) -> String {
        format!("{}{name}", self.config.prefix)
    }

    /// Refuses vectors that the collection cannot have, where that is known.
    fn same_dimension(&self, asked: &Collection) -> Result<(), Error> {
        match self.known.read().get(&asked.name) {
            Some(there) if *there != asked.dimension => Err(Error::Dimension {
                name: asked.name.clone(),
                there: *there,
                asked: asked.dimension,
            }),
            _ => Ok(()),
        }
    }

    /// None: there is no such collection.
    async fn info(&self, name: &str) -> Result<Option<CollectionInfo>, Failed> {
        let request = GetCollectionInfoRequest {
            collection_name: self.called(name),
        };
        let asked =
            self.calls.collections(
                request,
                |mut client, request| async move { client.get(request).await },
            );
        match asked.await {
            Ok(answer) => Ok(answer.result),
            Err(failed) if failed.code() == Some(Code::NotFound) => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    async fn create(&self, collection: &Collection) -> Result<bool, Failed> {
        let request = convert::create(self.called(&collection.name), collection.dimension, &self.config);
        let made = self.calls.collections(request, |mut client, request| async move {
            client.create(request).await
        });
        match made.await {
            Ok(_) => Ok(true),
            // Somebody else made it, or a try of ours whose answer was lost. Old servers say it the second way.
            Err(failed) if matches!(failed.code(), Some(Code::AlreadyExists | Code::InvalidArgument)) => {
                tracing::debug!(collection = collection.name, "made by another");
                Ok(false)
            }
            Err(failed) => Err(failed),
        }
    }

    /// Checks what is there, and makes the indexes that are missing.
    async fn complete(&self, collection: &Collection, info: &CollectionInfo) -> Result<(), Error> {
        let there = convert::dimension(info).unwrap_or(0);
        self.known.write().insert(collection.name.clone(), there);
        self.same_dimension(collection)?;
        for (field, kind, index) in convert::indexes() {
            if info.payload_schema.contains_key(field) {
                continue;
            }
            let request = CreateFieldIndexCollection {
                collection_name: self.called(&collection.name),
                wait: Some(true),
                field_name: field.to_owned(),
                field_type: Some(kind as i32),
                field_index_params: Some(index),
                ordering: None,
                timeout: None,
            };
            let made = self.calls.points(request, |mut client, request| async move {
                client.create_field_index(request).await
            });
            made.await.map_err(|failed| failed.about(&collection.name))?;
        }
        Ok(())
    }

    async fn count_where(
        &self,
        collection: &Collection,
        filter: Option<qdrant_client::qdrant::Filter>,
    ) -> Result<u64, Error> {
        let request = CountPoints {
            collection_name: self.called(&collection.name),
            filter,
            exact: Some(true),
            ..CountPoints::default()
        };
        let call = self.calls.points(request, |mut client, request| async move {
            client.count(request).await
        });
        let answer = self.ask(collection, call).await?;
        Ok(answer.result.map_or(0, |result| result.count))
    }

    /// A call about points: its failures are told as those of the collection.
    async fn ask<T>(
        &self,
        collection: &Collection,
        call: impl Future<Output = Result<T, Failed>> + Send,
    ) -> Result<T, Error> {
        self.same_dimension(collection)?;
        call.await.map_err(|failed| failed.about(&collection.name))
    }
}

/// Durable on the server, whether it is searchable yet or not; anything else is worth another call.
fn written(status: Option<i32>) -> Result<(), Error> {
    match status.map(UpdateStatus::try_from) {
        Some(Ok(UpdateStatus::Completed | UpdateStatus::Acknowledged | UpdateStatus::WaitTimeout)) => Ok(()),
        status => Err(Error::Unreachable {
            reason: format!("it did not take a write: {status:?}"),
        }),
    }
}

#[async_trait]
impl Vectors for Qdrant {
    async fn ensure(&self, collection: &Collection) -> Result<Ensured, Error> {
        check::collection(collection)?;
        let mut ensured = Ensured::Existing;
        let mut look = 0;
        loop {
            look += 1;
            match self.info(&collection.name).await {
                Ok(Some(info)) => {
                    self.complete(collection, &info).await?;
                    return Ok(ensured);
                }
                Ok(None) => match self.create(collection).await {
                    Ok(true) => ensured = Ensured::Created,
                    Ok(false) => {}
                    Err(failed) => return Err(failed.about(&collection.name)),
                },
                // Between being there and having its shards, a collection answers so.
                Err(failed) if failed.code() == Some(Code::Internal) && look < LOOKS => {}
                Err(failed) => return Err(failed.about(&collection.name)),
            }
            if look == LOOKS {
                return Err(Error::Unreachable {
                    reason: format!("collection {} does not come to be", collection.name),
                });
            }
            if look > 1 {
                tokio::time::sleep(PAUSE * look).await;
            }
        }
    }

    async fn collections(&self) -> Result<Vec<Collection>, Error> {
        let asked = self
            .calls
            .collections(ListCollectionsRequest {}, |mut client, request| async move {
                client.list(request).await
            });
        let listed = asked.await.map_err(|failed| failed.about("any"))?;
        let mut found = Vec::new();
        for description in listed.collections {
            let Some(name) = description.name.strip_prefix(&self.config.prefix) else {
                continue;
            };
            if !check::is_name(name) {
                continue;
            }
            let info = self.info(name).await.map_err(|failed| failed.about(name))?;
            found.extend(info.map(|info| Collection {
                name: name.to_owned(),
                dimension: convert::dimension(&info).unwrap_or(0),
            }));
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    async fn drop_collection(&self, name: &str) -> Result<(), Error> {
        check::name(name)?;
        let request = DeleteCollection {
            collection_name: self.called(name),
            timeout: None,
        };
        let dropped = self.calls.collections(request, |mut client, request| async move {
            client.delete(request).await
        });
        self.known.write().remove(name);
        match dropped.await {
            Err(failed) if failed.code() != Some(Code::NotFound) => Err(failed.about(name)),
            _ => Ok(()),
        }
    }

    async fn upsert(&self, collection: &Collection, points: Vec<Point>) -> Result<(), Error> {
        check::points(collection, &points)?;
        let mut of_tenant: BTreeMap<String, Vec<Point>> = BTreeMap::new();
        for point in points {
            of_tenant
                .entry(point.tags.tenant.clone())
                .or_default()
                .push(point);
        }
        for (tenant, points) in of_tenant {
            let request = convert::upsert(self.called(&collection.name), &tenant, points, &self.config);
            let call = self.calls.points(request, |mut client, request| async move {
                client.upsert(request).await
            });
            let answer = self.ask(collection, call).await?;
            written(answer.result.map(|result| result.status))?;
        }
        Ok(())
    }

    async fn delete(&self, collection: &Collection, tenant: &str, ids: Vec<Uuid>) -> Result<(), Error> {
        check::ids(collection, &ids)?;
        if ids.is_empty() {
            return Ok(());
        }
        let request = convert::delete(self.called(&collection.name), tenant, ids, &self.config);
        let call = self.calls.points(request, |mut client, request| async move {
            client.delete(request).await
        });
        let answer = self.ask(collection, call).await?;
        written(answer.result.map(|result| result.status))
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
        if limit == 0 {
            return Ok(Vec::new());
        }
        let request = QueryPoints {
            collection_name: self.called(&collection.name),
            query: Some(convert::nearest(vector)),
            filter: Some(convert::filter(filter)),
            limit: Some(u64::from(limit)),
            params: Some(convert::search(limit, exact, &self.config)),
            ..QueryPoints::default()
        };
        let call = self.calls.points(request, |mut client, request| async move {
            client.query(request).await
        });
        let answer = self.ask(collection, call).await?;
        let hits = answer.result.into_iter().filter_map(|point| {
            Some(Hit {
                id: convert::id(point.id)?,
                score: point.score,
            })
        });
        Ok(check::ordered(hits.collect()))
    }

    async fn get(
        &self,
        collection: &Collection,
        tenant: &str,
        ids: Vec<Uuid>,
    ) -> Result<Vec<(Uuid, Vec<f32>)>, Error> {
        check::ids(collection, &ids)?;
        let request = GetPoints {
            collection_name: self.called(&collection.name),
            ids: ids.into_iter().map(convert::point_id).collect(),
            with_payload: Some(convert::fields(&["tenant"])),
            with_vectors: Some(true.into()),
            ..GetPoints::default()
        };
        let call = self.calls.points(
            request,
            |mut client, request| async move { client.get(request).await },
        );
        let answer = self.ask(collection, call).await?;
        let ours = answer
            .result
            .into_iter()
            .filter(|point| convert::text(&point.payload, "tenant") == Some(tenant));
        let vectors =
            ours.filter_map(|point| Some((convert::id(point.id)?, convert::vector(point.vectors?)?)));
        Ok(vectors.collect())
    }

    async fn ids(
        &self,
        collection: &Collection,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<(Uuid, String, u64)>, Error> {
        check::limit(limit)?;
        let first = after.map_or(Some(Uuid::nil()), check::next);
        let (Some(first), 1..) = (first, limit) else {
            return Ok(Vec::new());
        };
        let request = ScrollPoints {
            collection_name: self.called(&collection.name),
            offset: Some(convert::point_id(first)),
            limit: Some(limit),
            with_payload: Some(convert::fields(&["tenant", "seq"])),
            with_vectors: Some(false.into()),
            ..ScrollPoints::default()
        };
        let call = self.calls.points(request, |mut client, request| async move {
            client.scroll(request).await
        });
        let answer = self.ask(collection, call).await?;
        let listed = answer.result.into_iter().filter_map(|point| {
            let tenant = convert::text(&point.payload, "tenant").unwrap_or_default();
            let seq = convert::number(&point.payload, "seq").unwrap_or(0);
            Some((convert::id(point.id)?, tenant.to_owned(), seq))
        });
        Ok(listed.collect())
    }

    async fn count(&self, collection: &Collection) -> Result<u64, Error> {
        self.count_where(collection, None).await
    }

    async fn count_of(&self, collection: &Collection, filter: &Filter) -> Result<u64, Error> {
        self.count_where(collection, Some(convert::filter(filter))).await
    }

    /// Every write is durable when it returns.
    /// A server is kept by who runs it.
    async fn settled(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn flush(&self) -> Result<(), Error> {
        self.calls.open()
    }

    async fn close(&self) {
        self.calls.close();
    }
}

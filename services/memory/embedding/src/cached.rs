//! Remembers the vectors of queries: people and agents ask the same again, and an embedding costs more than a search.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use moka::future::Cache;
use sha2::{Digest as _, Sha256};

use crate::{Embedder, Error, Model, Purpose};

/// An embedder whose queries are remembered; passages go through. Equal queries at the same time are computed once, and
/// failures are not remembered.
pub struct Cached<E> {
    inner: E,
    cache: Cache<[u8; 32], Arc<[f32]>>,
}

impl<E: Embedder> Cached<E> {
    /// Remembers the vectors of at most `entries` queries; an entry takes four bytes a dimension, and 100 more.
    #[must_use]
    pub fn new(inner: E, entries: u64) -> Self {
        Self {
            inner,
            cache: Cache::new(entries),
        }
    }

    /// What is behind the cache.
    #[must_use]
    pub fn inner(&self) -> &E {
        &self.inner
    }

    async fn query(&self, text: String) -> Result<Vec<f32>, Error> {
        let key: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let computed = async {
            let vectors = self.inner.embed(vec![text], Purpose::Query).await?;
            let vector = vectors.into_iter().next();
            vector.map(Arc::from).ok_or(Error::Closed)
        };
        let vector = self.cache.try_get_with(key, computed).await;
        vector
            .map(|vector| vector.to_vec())
            .map_err(|error| (*error).clone())
    }
}

#[async_trait]
impl<E: Embedder> Embedder for Cached<E> {
    fn model(&self) -> &Model {
        self.inner.model()
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, Error> {
        match purpose {
            Purpose::Query => try_join_all(texts.into_iter().map(|text| self.query(text))).await,
            Purpose::Passage => self.inner.embed(texts, purpose).await,
        }
    }

    async fn forget_queries(&self) {
        self.cache.invalidate_all();
        // until then they are found no more, and still there
        self.cache.run_pending_tasks().await;
        self.inner.forget_queries().await;
    }
}

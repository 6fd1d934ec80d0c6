//! The use case: what of the owner's memories answers a question.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use harombe_embedding::Purpose;
use harombe_retrieval::{DENSE_DEPTH, DenseView, Item, Query, Ranked, SEARCHES, rank};
use harombe_types::Clock;
use uuid::Uuid;

use super::book::Book;
use super::meaning::{Meaning, Meanings, Model};
use super::narrow::{for_ranking, for_vectors};
use super::place::Place;
use super::shelf::Shelf;
use super::{Ask, Found, Hit, Means, Recalled, ShownAnyway, item};
use crate::domain::{Choice, Owner};
use crate::error::Error;
use crate::metrics::RecallNumbers;
use crate::store::{MemoryStore, Peers};

/// Ranked beyond what is wanted: some may be gone by the time they are fetched.
const SPARE: usize = 10;

/// Searches what is remembered. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recaller(Arc<Inner>);

struct Inner {
    memories: Arc<dyn MemoryStore>,
    shelf: Shelf,
    meanings: Meanings,
    clock: Arc<dyn Clock>,
    dense_within: Duration,
    numbers: RecallNumbers,
    /// Whether the last search by meaning failed: that is told once.
    failing: AtomicBool,
}

/// Why nothing was found by meaning.
#[derive(Debug, thiserror::Error)]
enum Unmeant {
    #[error("the embedding model cannot be used, or its vectors are being filled")]
    Away,
    #[error("it took longer than memory.recall.dense_within")]
    Late,
    #[error("the question could not be embedded")]
    Embedding(#[from] harombe_embedding::Error),
    #[error("the vectors could not be searched")]
    Vectors(#[from] harombe_vectors::Error),
}

impl Recaller {
    pub(crate) fn new(
        (memories, shelf): (Arc<dyn MemoryStore>, Shelf),
        meanings: Meanings,
        clock: Arc<dyn Clock>,
        dense_within: Duration,
        numbers: RecallNumbers,
    ) -> Self {
        Self(Arc::new(Inner {
            memories,
            shelf,
            meanings,
            clock,
            dense_within,
            numbers,
            failing: AtomicBool::new(false),
        }))
    }

    /// Lets go what is in memory of an owner who was erased: their index, and the vectors of all questions, whoever asked them.
    pub(crate) async fn forget(&self, owner: &Owner) {
        self.0.shelf.forget(owner).await;
        self.0.meanings.forget_questions().await;
    }

    /// Lets the indexes of owners go who were erased at another process.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn tidy(&self, peers: &dyn Peers) -> Result<(), Error> {
        self.0.shelf.tidy(peers).await
    }

    /// The memories that answer the question, best first.
    ///
    /// # Errors
    /// A question that cannot be asked, or the store's.
    pub(crate) async fn recall(&self, owner: &Owner, ask: Ask) -> Result<Recalled, Error> {
        let limit = ask.check()?;
        let found = self.find(owner, &ask, limit.saturating_add(SPARE)).await?;
        let means = found.means;
        let hits = self
            .fetch(owner, &ask, found, limit, &ShownAnyway::default())
            .await?;
        Ok(Recalled { hits, means })
    }

    /// Ranks at most so many of the memories.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn find(&self, owner: &Owner, ask: &Ask, limit: usize) -> Result<Found, Error> {
        let inner = &self.0;
        let started = Instant::now();
        let place = inner.shelf.of(owner).await?;
        let (dense, means) = inner.dense(owner, ask, &place).await;
        let beyond = inner.beyond(owner, &dense, &place).await?;
        let ranked = inner.rank(ask, limit, (dense, beyond), &place).await;
        inner.numbers.recalled(means, started.elapsed());
        Ok(Found { ranked, means })
    }

    /// The memories that were ranked, best first: at most `limit` of those that are still to be found and that are not shown anyway.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn fetch(
        &self,
        owner: &Owner,
        ask: &Ask,
        found: Found,
        limit: usize,
        shown: &ShownAnyway,
    ) -> Result<Vec<Hit>, Error> {
        let mut ranked: HashMap<Uuid, Ranked> = HashMap::with_capacity(found.ranked.len());
        let mut points = Vec::with_capacity(found.ranked.len());
        for hit in found.ranked {
            if !shown.points.contains(&hit.id) {
                points.push(hit.id);
                ranked.insert(hit.id, hit);
            }
        }
        if points.is_empty() {
            return Ok(Vec::new());
        }
        let choice = Choice {
            points,
            limit,
            superseded: ask.filter.superseded,
            but_of_runs: shown.runs.clone(),
            but_claimed_in: shown.claimed_in,
        };
        let memories = self.0.memories.best_of(owner, &choice).await?;
        let hits = memories.into_iter().filter_map(|memory| {
            let Ranked { score, parts, .. } = ranked.remove(&memory.point)?;
            let parts = if ask.explain { parts } else { Vec::new() };
            Some(Hit { memory, score, parts })
        });
        Ok(hits.collect())
    }
}

impl Inner {
    async fn rank(
        &self,
        ask: &Ask,
        limit: usize,
        (dense, beyond): (Vec<DenseView>, Vec<Item>),
        place: &Arc<Place>,
    ) -> Vec<Ranked> {
        let (text, filter, now) = (ask.query.clone(), for_ranking(&ask.filter), self.clock.now());
        let is_little = place.known().is_small() && beyond.is_empty();
        let look = move |book: &Book| {
            let query = Query {
                text: &text,
                now_ms: now.as_millis(),
                limit,
                filter,
                dense,
                beyond,
            };
            rank(&book.index, &query)
        };
        let ranked = if is_little {
            self.shelf.glance(place, look).await
        } else {
            self.shelf.study(place, look).await
        };
        ranked.unwrap_or_default()
    }

    /// What the vectors have found that the index has no room for.
    async fn beyond(
        &self,
        owner: &Owner,
        dense: &[DenseView],
        place: &Arc<Place>,
    ) -> Result<Vec<Item>, Error> {
        if place.known().holds_all {
            return Ok(Vec::new());
        }
        let mut points: Vec<Uuid> = dense
            .iter()
            .flat_map(|view| view.hits.iter().map(|(point, _)| *point))
            .collect();
        points.sort_unstable();
        points.dedup();
        let missing = move |book: &Book| {
            points.retain(|point| !book.index.contains(*point));
            points
        };
        let missing = self.shelf.glance(place, missing).await.unwrap_or_default();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let memories = self.memories.at_points(owner, &missing).await?;
        let findable = memories.iter().filter(|memory| memory.is_findable());
        Ok(findable.map(item).collect())
    }

    /// What the vectors find, and how the search is done with it.
    async fn dense(&self, owner: &Owner, ask: &Ask, place: &Arc<Place>) -> (Vec<DenseView>, Means) {
        let search = tokio::time::timeout(self.dense_within, self.search(owner, ask, place));
        match search.await.unwrap_or(Err(Unmeant::Late)) {
            Ok(Some(dense)) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("memories are found by meaning again");
                }
                (dense, Means::Hybrid)
            }
            Ok(None) => (Vec::new(), Means::Lexical),
            Err(fault) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    let cause = std::error::Error::source(&fault).map(ToString::to_string);
                    tracing::warn!(error = %fault, cause, "memories are found by their words alone");
                }
                (Vec::new(), Means::Degraded)
            }
        }
    }

    /// `None` when no model is configured.
    async fn search(
        &self,
        owner: &Owner,
        ask: &Ask,
        place: &Arc<Place>,
    ) -> Result<Option<Vec<DenseView>>, Unmeant> {
        let model = match self.meanings.get().await {
            Meaning::By(model) => model,
            Meaning::Unconfigured => return Ok(None),
            Meaning::Away | Meaning::Opening => return Err(Unmeant::Away),
        };
        if place.known().is_of_nothing() {
            return Ok(Some(vec![DenseView::default(); SEARCHES.len()]));
        }
        let text = ask.query.clone();
        let views = move |book: &Book| book.index.query_views(&text);
        let texts = self.shelf.glance(place, views).await.unwrap_or_default();
        let queries = model.embedder.embed(texts, Purpose::Query).await?;
        let searched = try_join_all(SEARCHES.iter().map(|search| {
            let (collection, query) = (model.collections.get(search.view), queries.get(search.query));
            nearest(&model, collection.zip(query), owner, ask)
        }));
        let dense = searched.await.inspect_err(|error| {
            if matches!(
                error,
                harombe_vectors::Error::Damaged { .. } | harombe_vectors::Error::Missing { .. }
            ) {
                self.meanings.suspect();
            }
        })?;
        Ok(Some(dense))
    }
}

async fn nearest(
    model: &Model,
    search: Option<(&harombe_vectors::Collection, &Vec<f32>)>,
    owner: &Owner,
    ask: &Ask,
) -> Result<DenseView, harombe_vectors::Error> {
    let Some((collection, query)) = search else {
        return Ok(DenseView::default());
    };
    let filter = for_vectors(owner, &ask.filter);
    let hits = model
        .vectors
        .search(collection, &filter, query, DENSE_DEPTH, false)
        .await?;
    let hits = hits.into_iter().map(|hit| (hit.id, hit.score)).collect();
    Ok(DenseView { hits })
}

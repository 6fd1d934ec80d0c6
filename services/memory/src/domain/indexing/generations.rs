//! Which vectors there are, which of them serve, and which are written: a changed model's are filled while the old one's
//! serve.

use std::sync::Arc;

use harombe_embedding::Embedder;
use harombe_vectors::{Ensured, Vectors};

use super::{Fault, Indexer};
use crate::domain::recall::{Behind, Meaning, Model};
use crate::domain::{Generation, Source};

/// Vectors that can be written.
#[derive(Clone)]
pub(super) struct Set {
    pub(super) generation: Generation,
    pub(super) model: Arc<Model>,
}

impl Set {
    /// Memories are behind by what this has not got.
    pub(super) fn behind(&self) -> Behind {
        Behind::Of(Arc::clone(&self.model.vectors), self.model.collections.clone())
    }
}

/// What there is to write to.
pub(super) struct Prepared {
    pub(super) vectors: Arc<dyn Vectors>,
    /// The configured model's.
    pub(super) target: Option<Set>,
    /// Another model's, which serve until the target is complete.
    pub(super) old: Option<Set>,
    /// All that are known besides the target: from them, too, is removed what is forgotten.
    pub(super) others: Vec<Generation>,
}

impl Prepared {
    /// There is no model that can be used; one may come.
    pub(super) fn is_stuck(&self) -> bool {
        self.target.is_none()
    }
}

impl Indexer {
    /// Finds out what there is, and lets that serve which can.
    pub(super) async fn prepare(&mut self) -> Result<Prepared, Fault> {
        let source = self.deps.models.source();
        if source.is_none() {
            self.without_model();
        }
        let vectors = self.vectors().await;
        if vectors.is_err() && source.is_some() {
            self.set_away();
        }
        let vectors = vectors?;
        let known = self.deps.generations.generations().await?;
        let Some(source) = source else {
            return Ok(without_target(vectors, known));
        };
        let embedder = match self.open(&source).await {
            Ok(embedder) => embedder,
            Err(error) => {
                self.without_usable(&error);
                return Ok(without_target(vectors, known));
            }
        };
        self.deps.numbers.set_model_usable(true);
        let prepared = self.with_model(vectors, known, source, embedder).await;
        if prepared.is_err() {
            self.set_away();
        }
        prepared
    }

    fn set_away(&self) {
        self.deps.meanings.set_behind(Behind::All);
        self.deps.meanings.set(Meaning::Away);
    }

    async fn with_model(
        &mut self,
        vectors: Arc<dyn Vectors>,
        known: Vec<Generation>,
        source: Source,
        embedder: Arc<dyn Embedder>,
    ) -> Result<Prepared, Fault> {
        let new = Generation::of(embedder.model(), source);
        let (mut same, others): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|known| known.name == new.name);
        let before = same.pop();
        let mut generation = Generation {
            complete: before.as_ref().is_some_and(|before| before.complete),
            ..new
        };
        if self.ensure(&*vectors, &generation).await? {
            generation.complete = false;
        }
        if before.as_ref() != Some(&generation) {
            self.deps.generations.put_generation(&generation).await?;
        }
        self.ask_anew(&generation.name);
        let target = set(&vectors, generation, embedder);
        let old = if target.generation.complete {
            None
        } else {
            self.old(&vectors, &others).await
        };
        let serving = match &old {
            _ if target.generation.complete => Meaning::By(Arc::clone(&target.model)),
            Some(old) => Meaning::By(Arc::clone(&old.model)),
            None => Meaning::Away,
        };
        let behind = if target.generation.complete {
            Behind::Outbox
        } else {
            target.behind()
        };
        self.deps.meanings.set_behind(behind);
        self.deps.meanings.set(serving);
        self.deps.numbers.set_collections(1 + others.len());
        Ok(Prepared {
            vectors,
            target: Some(target),
            old,
            others,
        })
    }

    /// The store of vectors, opened at first.
    async fn vectors(&self) -> Result<Arc<dyn Vectors>, Fault> {
        if let Some(vectors) = self.deps.opened.lock().clone() {
            return Ok(vectors);
        }
        let (config, folder, clock) = (
            self.deps.vectors.clone(),
            self.deps.folder.clone(),
            Arc::clone(&self.deps.clock),
        );
        let open = move || harombe_vectors::open(&config, &folder, clock);
        let vectors = self.deps.workers.run(open).await?;
        *self.deps.opened.lock() = Some(Arc::clone(&vectors));
        Ok(vectors)
    }

    async fn open(&mut self, source: &Source) -> Result<Arc<dyn Embedder>, harombe_embedding::Error> {
        if let Some((of, model)) = &self.model
            && of == source
        {
            return Ok(Arc::clone(model));
        }
        let model = self.deps.models.open(source).await?;
        self.model = Some((source.clone(), Arc::clone(&model)));
        Ok(model)
    }

    /// Makes the generation's collections where they are not there; whether any was empty.
    async fn ensure(&self, vectors: &dyn Vectors, generation: &Generation) -> Result<bool, Fault> {
        let mut empty = false;
        for collection in generation.collections() {
            match vectors.ensure(&collection).await? {
                Ensured::Existing => {}
                Ensured::Created => empty = true,
                Ensured::Rebuilt { reason } => {
                    tracing::error!(collection = %collection.name, reason, "vectors were damaged and are made again from the memories");
                    empty = true;
                }
            }
        }
        Ok(empty)
    }

    /// Another model's vectors that can serve meanwhile.
    async fn old(&self, vectors: &Arc<dyn Vectors>, others: &[Generation]) -> Option<Set> {
        for generation in others.iter().filter(|other| other.complete) {
            let Ok(embedder) = self.deps.models.open(&generation.source).await else {
                continue;
            };
            // the same place may have another model by now
            if Generation::of(embedder.model(), generation.source.clone()).name != generation.name {
                continue;
            }
            if matches!(self.ensure(&**vectors, generation).await, Ok(false)) {
                return Some(set(vectors, generation.clone(), embedder));
            }
        }
        None
    }

    /// The target has all memories: it serves, and the others go.
    pub(super) async fn complete(&mut self) -> Result<(), Fault> {
        let Some(prepared) = &mut self.prepared else {
            return Ok(());
        };
        let Some(target) = &mut prepared.target else {
            return Ok(());
        };
        if !target.generation.complete {
            target.generation.complete = true;
            self.deps.generations.put_generation(&target.generation).await?;
            tracing::info!(model = %target.generation.name, "all memories can be found by meaning");
        }
        self.deps.meanings.set_behind(Behind::Outbox);
        self.deps.meanings.set(Meaning::By(Arc::clone(&target.model)));
        prepared.old = None;
        while let Some(other) = prepared.others.last() {
            for collection in other.collections() {
                prepared.vectors.drop_collection(&collection.name).await?;
            }
            self.deps.generations.remove_generation(&other.name).await?;
            tracing::info!(model = %other.name, "the vectors of a model that is not used any more were removed");
            prepared.others.pop();
        }
        self.deps.numbers.set_collections(1);
        prepared.vectors.settled().await?;
        Ok(())
    }

    fn without_model(&self) {
        if self.prepared.is_none() {
            tracing::warn!(
                "no embedding model is configured: memories are found by their words alone; get one with `harombe models pull`"
            );
        }
        self.deps.meanings.set_behind(Behind::Outbox);
        self.deps.meanings.set(Meaning::Unconfigured);
        self.deps.numbers.set_model_usable(false);
    }

    fn without_usable(&self, error: &harombe_embedding::Error) {
        if self.prepared.is_none() {
            tracing::error!(%error, "the embedding model cannot be used: memories are found by their words alone");
        }
        self.set_away();
        self.deps.numbers.set_model_usable(false);
    }
}

fn without_target(vectors: Arc<dyn Vectors>, known: Vec<Generation>) -> Prepared {
    Prepared {
        vectors,
        target: None,
        old: None,
        others: known,
    }
}

fn set(vectors: &Arc<dyn Vectors>, generation: Generation, embedder: Arc<dyn Embedder>) -> Set {
    let collections = generation.collections();
    Set {
        generation,
        model: Arc::new(Model {
            embedder,
            vectors: Arc::clone(vectors),
            collections,
        }),
    }
}

//! One round of indexing after the other, by one process of all that share the store.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_types::Clock;
use harombe_vectors::Vectors;
use parking_lot::Mutex;
use uuid::Uuid;

use super::generations::{Prepared, Set};
use super::writer::Refused;
use super::{Fault, Models};
use crate::domain::Source;
use crate::domain::recall::{Meanings, Workers};
use crate::error::Error;
use crate::metrics::IndexNumbers;
use crate::store::{Generations, MemoryStore};

/// How long a process is believed to write vectors after it last said so.
const HELD: Duration = Duration::from_secs(60);

/// Memories that were refused and are remembered.
const ASIDE: usize = 100_000;

/// What indexing needs.
pub(crate) struct IndexerDeps {
    pub(crate) memories: Arc<dyn MemoryStore>,
    pub(crate) generations: Arc<dyn Generations>,
    pub(crate) workers: Workers,
    pub(crate) meanings: Meanings,
    pub(crate) models: Models,
    pub(crate) vectors: harombe_vectors::Config,
    /// Where vectors are kept if they are kept in this process.
    pub(crate) folder: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) numbers: IndexNumbers,
    /// Told of the vectors once they are open, for whoever closes them.
    pub(crate) opened: Arc<Mutex<Option<Arc<dyn Vectors>>>>,
}

/// Keeps the vectors as the memories are.
pub(crate) struct Indexer {
    pub(super) deps: IndexerDeps,
    /// This process among those that share the store.
    holder: Uuid,
    pub(super) prepared: Option<Prepared>,
    /// The last model that was opened, which takes long.
    pub(super) model: Option<(Source, Arc<dyn harombe_embedding::Embedder>)>,
    /// All that was there at the start has been compared.
    reconciled: bool,
    aside: Mutex<Aside>,
}

/// Memories whose texts a model refuses. They are found by their words alone; another start or another model tries them again.
#[derive(Default)]
struct Aside {
    /// The generation of the model.
    of: String,
    points: HashSet<Uuid>,
}

/// What a round was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// Everything is as it should be.
    Done,
    /// Another process does it; or the model cannot be used, and is looked for again later.
    Waiting,
}

impl Indexer {
    /// `holder` is new at each start.
    pub(crate) fn new(deps: IndexerDeps, holder: Uuid) -> Self {
        Self {
            deps,
            holder,
            prepared: None,
            model: None,
            reconciled: false,
            aside: Mutex::default(),
        }
    }

    /// Does all that there is to do. A round that ends early has lost nothing: the next one goes on.
    ///
    /// # Errors
    /// The store, the vectors or the model fail.
    pub(crate) async fn round(&mut self) -> Result<Round, Fault> {
        let done = self.work().await;
        if let Err(fault) = &done
            && fault.is_damage()
        {
            self.look_anew();
        }
        done
    }

    async fn work(&mut self) -> Result<Round, Fault> {
        if self.deps.meanings.take_suspicion() {
            self.look_anew();
        }
        if !self.is_holder().await? {
            // whose vectors they are says which of them serve
            self.reconciled = false;
            self.prepared = Some(self.prepare().await?);
            return Ok(Round::Waiting);
        }
        if self.prepared.as_ref().is_none_or(Prepared::is_stuck) {
            self.reconciled = false;
            self.prepared = Some(self.prepare().await?);
        }
        if !self.reconciled {
            // as far as is known, until it was compared
            let target = self
                .prepared
                .as_ref()
                .and_then(|prepared| prepared.target.as_ref());
            let behind = target.map(Set::behind);
            behind
                .into_iter()
                .for_each(|behind| self.deps.meanings.set_behind(behind));
        }
        self.drain().await?;
        if !self.reconciled {
            self.reconcile().await?;
            self.complete().await?;
            self.reconciled = true;
            self.drain().await?;
        }
        let stuck = self.prepared.as_ref().is_some_and(Prepared::is_stuck);
        Ok(if stuck { Round::Waiting } else { Round::Done })
    }

    /// Before the next round the vectors are looked at as at a start.
    fn look_anew(&mut self) {
        self.prepared = None;
        self.reconciled = false;
    }

    /// The model of this generation is the one to be asked from now on.
    pub(super) fn ask_anew(&self, generation: &str) {
        let mut aside = self.aside.lock();
        if aside.of != generation {
            *aside = Aside {
                of: generation.to_owned(),
                points: HashSet::new(),
            };
        }
    }

    /// The model refuses these: each is told and counted once.
    pub(super) fn set_aside(&self, refused: Vec<Refused>) {
        let mut aside = self.aside.lock();
        for Refused { point, error } in refused {
            // of more it is not known that they were refused: they may be asked for twice
            if aside.points.len() < ASIDE && !aside.points.insert(point) {
                continue;
            }
            self.deps.numbers.given_up();
            tracing::error!(%point, %error, "the model refuses a memory; it is found by its words alone");
        }
    }

    pub(super) fn is_set_aside(&self, point: Uuid) -> bool {
        self.aside.lock().points.contains(&point)
    }

    async fn is_holder(&self) -> Result<bool, Fault> {
        let now = self.deps.clock.now();
        let generations = &self.deps.generations;
        Ok(generations
            .hold_indexing(self.holder, now, now.plus(HELD))
            .await?)
    }

    /// Says that this process goes on writing.
    ///
    /// # Errors
    /// [`Fault::Superseded`] when another does, or did since this round began.
    pub(super) async fn hold(&self) -> Result<(), Fault> {
        let until = self.deps.clock.now().plus(HELD);
        if self.deps.generations.keep_indexing(self.holder, until).await? {
            Ok(())
        } else {
            Err(Fault::Superseded)
        }
    }

    /// Lets another process write at once. Without it, others wait for as long as this one may be silent.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub(crate) async fn let_go(&self) -> Result<(), Error> {
        self.deps.generations.let_go_of_indexing(self.holder).await
    }
}

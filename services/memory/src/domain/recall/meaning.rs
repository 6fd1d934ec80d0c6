//! Whether memories can be found by meaning at the moment, and with which model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use std::time::Duration;

use harombe_embedding::Embedder;
use harombe_vectors::{Collection, Filter, Vectors};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::domain::{Owner, Stats};

/// How long who wants to know what is still to be embedded waits for a model that is being opened.
const OPENING: Duration = Duration::from_secs(2);

/// A model with its vectors.
pub(crate) struct Model {
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) vectors: Arc<dyn Vectors>,
    /// One for each view of a memory, in the order of [`harombe_retrieval::VIEWS`].
    pub(crate) collections: Vec<Collection>,
}

/// How memories are found by meaning.
#[derive(Clone)]
pub(crate) enum Meaning {
    /// It is being found out.
    Opening,
    /// Not at all: no model is configured.
    Unconfigured,
    /// Not at the moment: the model cannot be used, or its vectors are being filled.
    Away,
    /// With this one.
    By(Arc<Model>),
}

/// What of the memories has no vectors yet.
#[derive(Clone)]
pub(crate) enum Behind {
    /// What the outbox has: all else was compared, or nothing is embedded at all.
    Outbox,
    /// Also what these have not got: they are being filled or compared.
    Of(Arc<dyn Vectors>, Vec<Collection>),
    /// All: the model or its vectors cannot be used.
    All,
}

/// Tells those who search what those who index have. Clones share it.
#[derive(Clone)]
pub(crate) struct Meanings(Arc<Shared>);

struct Shared {
    meaning: watch::Sender<Meaning>,
    behind: Mutex<Behind>,
    /// Somebody who searched has met damage.
    suspect: AtomicBool,
    wake: Notify,
}

impl Meanings {
    pub(crate) fn opening() -> Self {
        Self(Arc::new(Shared {
            meaning: watch::Sender::new(Meaning::Opening),
            behind: Mutex::new(Behind::All),
            suspect: AtomicBool::new(false),
            wake: Notify::new(),
        }))
    }

    pub(crate) fn set(&self, meaning: Meaning) {
        self.0.meaning.send_replace(meaning);
    }

    pub(crate) fn set_behind(&self, behind: Behind) {
        *self.0.behind.lock() = behind;
    }

    /// How many of an owner's memories cannot be found by meaning yet. Vectors that do not answer have none.
    pub(crate) async fn waiting(&self, owner: &Owner, stats: &Stats) -> u64 {
        // unknown that long: then nothing is found by meaning
        let _ = tokio::time::timeout(OPENING, self.get()).await;
        let behind = self.0.behind.lock().clone();
        let kept = stats.turns + stats.facts + stats.summaries;
        let missing = match behind {
            Behind::Outbox => 0,
            Behind::All => kept,
            Behind::Of(vectors, collections) => {
                let filter = Filter {
                    tenant: owner.tenant.to_string(),
                    subject: owner.subject.to_string(),
                    ..Filter::default()
                };
                let mut there = kept;
                for collection in &collections {
                    let counted = vectors.count_of(collection, &filter).await;
                    there = there.min(counted.unwrap_or(0));
                }
                kept.saturating_sub(there)
            }
        };
        missing.max(stats.waiting)
    }

    /// What it is now; waits while it is being found out.
    pub(crate) async fn get(&self) -> Meaning {
        let mut meaning = self.0.meaning.subscribe();
        let known = meaning
            .wait_for(|meaning| !matches!(meaning, Meaning::Opening))
            .await;
        // the sender lives as long as this
        known.map_or(Meaning::Away, |meaning| meaning.clone())
    }

    /// Lets the model that serves forget what it was asked.
    pub(crate) async fn forget_questions(&self) {
        let meaning = self.0.meaning.borrow().clone();
        if let Meaning::By(model) = meaning {
            model.embedder.forget_queries().await;
        }
    }

    /// The name of the model that serves.
    pub(crate) fn model(&self) -> Option<String> {
        match &*self.0.meaning.borrow() {
            Meaning::By(model) => Some(model.embedder.model().name.clone()),
            _ => None,
        }
    }

    /// The vectors are not as they should be: whoever indexes is to look.
    pub(crate) fn suspect(&self) {
        self.0.suspect.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether somebody said so since this was last asked.
    pub(crate) fn take_suspicion(&self) -> bool {
        self.0.suspect.swap(false, Ordering::AcqRel)
    }

    /// There is something to index.
    pub(crate) fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Returns when somebody says that there is something to index.
    pub(crate) async fn woken(&self) {
        self.0.wake.notified().await;
    }
}

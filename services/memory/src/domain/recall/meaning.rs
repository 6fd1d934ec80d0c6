//! Whether memories can be found by meaning at the moment, and with which model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harombe_embedding::Embedder;
use harombe_vectors::{Collection, Vectors};
use tokio::sync::{Notify, watch};

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

/// Tells those who search what those who index have. Clones share it.
#[derive(Clone)]
pub(crate) struct Meanings(Arc<Shared>);

struct Shared {
    meaning: watch::Sender<Meaning>,
    /// Somebody who searched has met damage.
    suspect: AtomicBool,
    wake: Notify,
}

impl Meanings {
    pub(crate) fn opening() -> Self {
        Self(Arc::new(Shared {
            meaning: watch::Sender::new(Meaning::Opening),
            suspect: AtomicBool::new(false),
            wake: Notify::new(),
        }))
    }

    pub(crate) fn set(&self, meaning: Meaning) {
        self.0.meaning.send_replace(meaning);
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

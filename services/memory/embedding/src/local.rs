//! A model in this process: texts wait in a bounded queue for threads of our own, so that no other work is held up by them.

mod queue;
mod tokens;
mod worker;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::minilm::MiniLm;
use crate::{DEFAULT_MODEL, Embedder, Error, Model, Purpose, known};
use queue::{Queue, Task};
use tokens::Tokens;
use worker::Worker;

/// Passages that are handed to one thread at a time; queries go one by one.
const GRAIN: usize = 8;
/// Texts of one call that wait at the same time.
const WINDOW: usize = 128;

/// How a local model is run.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// Threads that compute.
    pub threads: NonZeroUsize,
    /// Queries that may wait; one more is refused with [`Error::Busy`].
    pub queries: usize,
    /// Passages that may wait. A call with more of them waits for itself, 128 at a time.
    pub passages: usize,
}

impl Default for LocalConfig {
    /// A thread for each processor, four at most; 256 queries and 1024 passages.
    fn default() -> Self {
        let most = NonZeroUsize::MIN.saturating_add(3);
        let threads = std::thread::available_parallelism().map_or(NonZeroUsize::MIN, |found| found.min(most));
        Self {
            threads,
            queries: 256,
            passages: 1024,
        }
    }
}

/// A model from a folder. Dropping it ends its threads once they have finished what they compute.
pub struct Local {
    model: Model,
    tokens: Arc<Tokens>,
    queue: Arc<Queue>,
    config: LocalConfig,
}

impl Local {
    /// Opens the model of a folder: reads and digests all of it, which takes a good tenth of a second and keeps the thread.
    ///
    /// # Errors
    /// A file is absent, altered or unreadable, or the threads could not be started.
    pub fn open(folder: &Path, config: &LocalConfig) -> Result<Self, Error> {
        let known = known(DEFAULT_MODEL)?;
        let tokens = Arc::new(Tokens::open(folder, known)?);
        let minilm = Arc::new(MiniLm::open(folder, known)?);
        // from here on a failure ends the threads there are
        let local = Self {
            model: known.model(),
            queue: Arc::new(Queue::new(config.queries, config.passages)),
            tokens,
            config: config.clone(),
        };
        for number in 1..=config.threads.get() {
            let worker = Worker::new(
                Arc::clone(&local.queue),
                Arc::clone(&local.tokens),
                Arc::clone(&minilm),
            );
            std::thread::Builder::new()
                .name(format!("embed-{number}"))
                .spawn(move || worker.run())
                .map_err(|source| Error::Threads(Arc::new(source)))?;
        }
        Ok(local)
    }

    /// How many tokens the text has for this model, all of it, without the two that the model puts around it.
    #[must_use]
    pub fn count_tokens(&self, text: &str) -> usize {
        self.tokens.count(text)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[async_trait]
impl Embedder for Local {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, Error> {
        let (most, grain) = match purpose {
            Purpose::Query => (self.config.queries, 1),
            Purpose::Passage => (self.config.passages, GRAIN),
        };
        let window = WINDOW.min(most).max(1);
        let mut vectors = Vec::with_capacity(texts.len());
        for window in texts.chunks(window) {
            let mut answers = Vec::new();
            for texts in window.chunks(grain) {
                // only what can count is kept while it waits
                let texts = texts
                    .iter()
                    .map(|text| tokens::beginning(text).to_owned())
                    .collect();
                let (task, answer) = Task::new(texts);
                self.queue.push(task, purpose)?;
                answers.push(answer);
            }
            for answer in answers {
                vectors.extend(answer.await.map_err(|_| Error::Closed)??);
            }
        }
        Ok(vectors)
    }
}

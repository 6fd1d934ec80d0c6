//! One thread that computes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::queue::{Queue, Task};
use super::tokens::Tokens;
use crate::Error;
use crate::minilm::{MiniLm, Scratch};

/// Tokens that are computed at once. More would be hardly faster, and whoever asks has to wait for them.
const BATCH: usize = 128;

pub(super) struct Worker {
    queue: Arc<Queue>,
    tokens: Arc<Tokens>,
    model: Arc<MiniLm>,
    scratch: Scratch,
}

impl Worker {
    pub(super) fn new(queue: Arc<Queue>, tokens: Arc<Tokens>, model: Arc<MiniLm>) -> Self {
        Self {
            queue,
            tokens,
            model,
            scratch: Scratch::default(),
        }
    }

    /// Works until the queue is closed.
    pub(super) fn run(mut self) {
        while let Some(task) = self.queue.next() {
            let vectors = self.guarded(&task, Self::serve_queries);
            task.finish(vectors);
        }
    }

    /// Between the parts of a longer task: nobody shall wait for all of it.
    fn serve_queries(&mut self) {
        while let Some(query) = self.queue.next_query() {
            let vectors = self.guarded(&query, |_| {});
            query.finish(vectors);
        }
    }

    /// A text on which it panics has no vector; the thread goes on, because who asks next would wait for ever.
    fn guarded(&mut self, task: &Task, between: fn(&mut Self)) -> Result<Vec<Vec<f32>>, Error> {
        guarded(|| self.vectors(task, between)).unwrap_or_else(|| {
            self.scratch = Scratch::default();
            Err(Error::Tokenizer("it panicked".to_owned()))
        })
    }

    fn vectors(&mut self, task: &Task, between: fn(&mut Self)) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = Vec::with_capacity(task.texts.len());
        let mut batch: Vec<Vec<u32>> = Vec::new();
        let mut size = 0;
        for text in &task.texts {
            let tokens = self.tokens.of(text)?;
            if size > 0 && size + tokens.len() > BATCH {
                vectors.extend(self.model.embed(&batch, &mut self.scratch));
                batch.clear();
                size = 0;
                if task.is_abandoned() {
                    return Err(Error::Closed);
                }
                between(self);
            }
            size += tokens.len();
            batch.push(tokens);
        }
        if !batch.is_empty() {
            vectors.extend(self.model.embed(&batch, &mut self.scratch));
        }
        Ok(vectors)
    }
}

/// `None` when the work panicked.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_work_and_not_the_thread() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded::<u8>(|| panic!("on a text")), None);
    }
}

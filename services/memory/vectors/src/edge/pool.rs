//! Threads for calls that block, with a bounded queue: the engine must not hold up the workers that everything else runs on.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::Error;

type Job = Box<dyn FnOnce() + Send>;

/// A queue of jobs, and who works on it.
pub(super) struct Pool {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Pool {
    /// `threads` of them; at most `most` jobs wait.
    pub(super) fn start(name: &str, threads: u32, most: u32) -> Result<Self, Error> {
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            changed: Condvar::new(),
            most: most as usize,
        });
        let started: Result<Vec<_>, Error> = (0..threads)
            .map(|_| {
                let queue = Arc::clone(&queue);
                spawn(name, move || queue.work())
            })
            .collect();
        Ok(Self {
            queue,
            threads: Mutex::new(started?),
        })
    }

    /// What `job` returns, from one of the threads.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Box::new(move || {
            // Nobody waits any more: it is not worth doing.
            if !answer.is_closed() {
                let _ = answer.send(job());
            }
        }))?;
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// Takes nothing more.
    pub(super) fn stop(&self) {
        self.queue.state.lock().closed = true;
        self.queue.changed.notify_all();
    }

    /// Takes nothing more; returns when the threads have done what waits. Blocks.
    pub(super) fn close(&self) {
        self.stop();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn push(&self, job: Job) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        if state.jobs.len() >= self.most {
            return Err(Error::Busy);
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    fn work(&self) {
        loop {
            let mut state = self.state.lock();
            while state.jobs.is_empty() && !state.closed {
                self.changed.wait(&mut state);
            }
            let Some(job) = state.jobs.pop_front() else {
                return;
            };
            drop(state);
            // The engine's panics are caught where they become errors; this keeps the thread for the next call whatever comes.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }
}

pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(Error::io("a thread cannot be started for", name))
}

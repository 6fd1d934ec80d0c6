//! Threads beside those that serve, for what would hold these up: a million memories take long to rank.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// At most so many pieces of work at once; the others wait. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Workers(Arc<Semaphore>);

impl Workers {
    pub(crate) fn new(threads: u32) -> Self {
        Self(Arc::new(Semaphore::new(
            usize::try_from(threads).unwrap_or(1).max(1),
        )))
    }

    /// Runs the work on a thread of its own. It goes on when nobody waits for it any more, and holds its place meanwhile.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let place = Arc::clone(&self.0).acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            // nobody closes it
            let _place = place;
            work()
        });
        match done.await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // the runtime is going down, and this with it
                Err(_) => std::future::pending().await,
            },
        }
    }
}

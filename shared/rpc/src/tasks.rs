//! Background work with an owner: nothing is spawned that nobody waits for.

use std::future::Future;
use std::time::Duration;

use harombe_telemetry::TraceContext;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The tasks of one service. Clones share the same set.
#[derive(Clone, Debug, Default)]
pub struct TaskSet {
    tracker: TaskTracker,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl TaskSet {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` as a task of this set, as a part of what the caller works on (its trace and its span in the log). The
    /// handle yields `None` when the set was aborted before it ended;
    /// dropping the handle lets the task go on. Must be called inside a tokio runtime.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // Boxed, for each future around it would hold room for it anew: a task of many kilobytes would take several times that.
        let future = self.kill.clone().run_until_cancelled_owned(Box::pin(future));
        match TraceContext::current() {
            Some(trace) => self.tracker.spawn(trace.scope(future).in_current_span()),
            None => self.tracker.spawn(future.in_current_span()),
        }
    }

    /// Cancelled when shutdown begins: loops end on it.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells every task to stop, waits until all have ended or `deadline` has passed, then aborts the rest.
    /// Returns how many had to be aborted.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok() {
            return 0;
        }
        let left = self.tracker.len();
        self.kill.cancel();
        self.tracker.wait().await;
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loops_end_when_they_are_told_to() {
        let tasks = TaskSet::new();
        let stop = tasks.token();
        let ended = tasks.spawn(async move { stop.cancelled().await });
        assert_eq!(tasks.shutdown(Duration::from_secs(30)).await, 0);
        assert_eq!(ended.await.unwrap(), Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_aborted_at_the_deadline() {
        let tasks = TaskSet::new();
        let stuck = tasks.spawn(std::future::pending::<()>());
        let begun = tokio::time::Instant::now();
        assert_eq!(tasks.clone().shutdown(Duration::from_secs(5)).await, 1);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        assert_eq!(stuck.await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_task_is_a_part_of_what_its_parent_works_on() {
        let tasks = TaskSet::new();
        let trace = TraceContext::start();
        let handle = trace.within(|| tasks.spawn(async { TraceContext::current() }));
        assert_eq!(handle.await.unwrap(), Some(Some(trace)));
        let handle = tasks.spawn(async { TraceContext::current() });
        assert_eq!(handle.await.unwrap(), Some(None));
    }

    #[tokio::test]
    async fn a_panic_of_one_task_is_its_own() {
        let tasks = TaskSet::new();
        let panicked = tasks.spawn(async { panic!("on purpose") });
        assert!(panicked.await.unwrap_err().is_panic());
        assert_eq!(tasks.spawn(async { 7 }).await.unwrap(), Some(7));
        assert_eq!(tasks.shutdown(Duration::from_secs(30)).await, 0);
    }
}

//! Wakes those who watch a run when its journal has grown.

use std::collections::HashMap;
use std::sync::Arc;

use harombe_types::RunId;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Who waits for which run. Clones share the same waiters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Follow {
    runs: Arc<Mutex<HashMap<RunId, watch::Sender<()>>>>,
}

/// One who waits for news of a run.
#[derive(Debug)]
pub(crate) struct Waiter {
    follow: Follow,
    run: RunId,
    news: watch::Receiver<()>,
}

impl Follow {
    /// Waits for what is published from now on. Subscribe before reading, or news in between is missed.
    pub(crate) fn subscribe(&self, run: RunId) -> Waiter {
        let news = self
            .runs
            .lock()
            .entry(run)
            .or_insert_with(|| watch::channel(()).0)
            .subscribe();
        Waiter {
            follow: self.clone(),
            run,
            news,
        }
    }

    /// The run's journal has grown, or the run has ended.
    pub(crate) fn publish(&self, run: RunId) {
        if let Some(sender) = self.runs.lock().get(&run) {
            sender.send_replace(());
        }
    }
}

impl Waiter {
    /// Returns at once when there was news since the last call.
    pub(crate) async fn news(&mut self) {
        // the sender lives as long as a waiter does
        let _ = self.news.changed().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut runs = self.follow.runs.lock();
        // this waiter still counts as one
        if runs
            .get(&self.run)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            runs.remove(&self.run);
        }
    }
}

#[cfg(test)]
mod tests {
    use harombe_types::SystemClock;

    use super::*;

    #[tokio::test]
    async fn news_before_the_wait_is_not_missed() {
        let follow = Follow::default();
        let run = RunId::generate(&SystemClock);
        let mut waiter = follow.subscribe(run);
        follow.publish(run);
        waiter.news().await;
    }

    #[test]
    fn nothing_is_kept_of_runs_that_nobody_watches() {
        let follow = Follow::default();
        let run = RunId::generate(&SystemClock);
        let (first, second) = (follow.subscribe(run), follow.subscribe(run));
        drop(first);
        assert_eq!(follow.runs.lock().len(), 1);
        drop(second);
        assert!(follow.runs.lock().is_empty());
        follow.publish(run);
        assert!(follow.runs.lock().is_empty());
    }
}

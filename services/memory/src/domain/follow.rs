//! Wakes those who watch a run when its journal has grown, at this process or another.

use std::collections::HashMap;
use std::sync::Arc;

use harombe_types::{RunId, Tenant};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Position;
use crate::error::Error;
use crate::store::Peers;

/// Runs whose positions are asked for at once.
const COMPARED: usize = 1000;

/// Who waits for which run. Clones share the same waiters.
#[derive(Clone, Default)]
pub(crate) struct Follow {
    runs: Arc<Mutex<HashMap<RunId, Watched>>>,
    peers: Option<Arc<dyn Peers>>,
}

/// A run that somebody waits for.
struct Watched {
    tenant: Tenant,
    news: watch::Sender<()>,
}

/// One who waits for news of a run.
pub(crate) struct Waiter {
    follow: Follow,
    run: RunId,
    news: watch::Receiver<()>,
}

/// Where the journals of watched runs stood when they were last compared.
pub(crate) type Known = HashMap<RunId, Position>;

impl Follow {
    /// Tells `peers` too, and is told by [`Follow::wake`] and [`Follow::compare`] what they do.
    pub(crate) fn with(peers: Option<Arc<dyn Peers>>) -> Self {
        Self {
            peers,
            ..Self::default()
        }
    }

    /// Waits for what is published from now on. Subscribe before reading, or news in between is missed.
    pub(crate) fn subscribe(&self, tenant: &Tenant, run: RunId) -> Waiter {
        let watched = || Watched {
            tenant: tenant.clone(),
            news: watch::channel(()).0,
        };
        let news = self
            .runs
            .lock()
            .entry(run)
            .or_insert_with(watched)
            .news
            .subscribe();
        Waiter {
            follow: self.clone(),
            run,
            news,
        }
    }

    /// The run's journal has grown, or the run has ended.
    pub(crate) fn publish(&self, run: RunId) {
        self.wake(run);
        if let Some(peers) = &self.peers {
            peers.tell(run);
        }
    }

    /// As [`Follow::publish`], when it was a peer that said so.
    pub(crate) fn wake(&self, run: RunId) {
        if let Some(watched) = self.runs.lock().get(&run) {
            watched.news.send_replace(());
        }
    }

    /// Wakes those whose run has moved without anybody telling.
    ///
    /// # Errors
    /// The store does not answer; what was not compared is compared next time.
    pub(crate) async fn compare(&self, peers: &dyn Peers, known: &mut Known) -> Result<(), Error> {
        let watched: Vec<(Tenant, RunId)> = {
            let runs = self.runs.lock();
            known.retain(|run, _| runs.contains_key(run));
            runs.iter()
                .map(|(run, watched)| (watched.tenant.clone(), *run))
                .collect()
        };
        for some in watched.chunks(COMPARED) {
            for (run, position) in peers.positions(some.to_vec()).await? {
                if known.insert(run, position) != Some(position) {
                    self.wake(run);
                }
            }
        }
        Ok(())
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
            .is_some_and(|watched| watched.news.receiver_count() <= 1)
        {
            runs.remove(&self.run);
        }
    }
}

#[cfg(test)]
mod tests {
    use harombe_types::SystemClock;

    use super::*;

    fn tenant() -> Tenant {
        "acme".parse().unwrap()
    }

    #[tokio::test]
    async fn news_before_the_wait_is_not_missed() {
        let follow = Follow::default();
        let run = RunId::generate(&SystemClock);
        let mut waiter = follow.subscribe(&tenant(), run);
        follow.publish(run);
        waiter.news().await;
    }

    #[test]
    fn nothing_is_kept_of_runs_that_nobody_watches() {
        let follow = Follow::default();
        let run = RunId::generate(&SystemClock);
        let (first, second) = (follow.subscribe(&tenant(), run), follow.subscribe(&tenant(), run));
        drop(first);
        assert_eq!(follow.runs.lock().len(), 1);
        drop(second);
        assert!(follow.runs.lock().is_empty());
        follow.publish(run);
        assert!(follow.runs.lock().is_empty());
    }
}

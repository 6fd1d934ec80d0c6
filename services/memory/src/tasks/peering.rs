//! Wakes those who watch a run here when another process on the same store has written to its journal.

use std::sync::Arc;
use std::time::Duration;

use harombe_error::ServiceError as _;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::{Follow, Known};
use crate::store::{News, Peers};

/// How often the store is looked at for what no hint told: a watcher is never later than that.
const LOOK: Duration = Duration::from_secs(2);
/// Hints that wait to be followed; more are found by looking.
const HINTS: usize = 4096;

/// Follows hints as they come, and looks now and then.
pub(crate) struct Peering {
    pub(crate) follow: Follow,
    pub(crate) peers: Arc<dyn Peers>,
}

impl Peering {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let (news, hints) = mpsc::channel(HINTS);
        tokio::select! {
            () = self.follow_up(hints) => {}
            () = self.peers.listen(&stop, news) => {}
        }
    }

    async fn follow_up(&self, mut hints: mpsc::Receiver<News>) {
        let mut known = Known::new();
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let news = tokio::select! {
                Some(news) = hints.recv() => news,
                _ = ticks.tick() => News::Missed,
            };
            match news {
                News::Of(run) => self.follow.wake(run),
                News::Missed => {
                    if let Err(error) = self.follow.compare(&*self.peers, &mut known).await {
                        tracing::warn!(reason = %error.reason(), error = %error, "what other processes write waits to be seen");
                    }
                }
            }
        }
    }
}

//! How a node goes away without losing time: it begins nothing more, lets steps end that have begun, and gives its runs up
//! to the other nodes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The node's going away. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    leaving: CancellationToken,
    now: CancellationToken,
    driven: TaskTracker,
}

impl Drain {
    /// Begins when `stop` is cancelled, or with [`Drain::run`].
    pub(crate) fn new(stop: &CancellationToken) -> Self {
        Self {
            leaving: stop.child_token(),
            now: CancellationToken::new(),
            driven: TaskTracker::new(),
        }
    }

    /// Cancelled when no further step is to begin.
    pub(crate) fn leaving(&self) -> &CancellationToken {
        &self.leaving
    }

    /// Cancelled when what still runs is to be broken off.
    pub(crate) fn now(&self) -> &CancellationToken {
        &self.now
    }

    /// Held while a run is driven.
    pub(crate) fn driving(&self) -> TaskTrackerToken {
        self.driven.token()
    }

    /// Waits until no run is driven any more, and breaks off what is left after `patience`.
    pub(crate) async fn run(&self, patience: Duration) {
        self.leaving.cancel();
        self.driven.close();
        // what is broken off is still to give its lease back
        let _ = tokio::time::timeout(patience, self.driven.wait()).await;
        self.now.cancel();
    }
}

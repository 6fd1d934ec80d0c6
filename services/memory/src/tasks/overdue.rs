//! Ends runs that no runtime will end, because their token has expired or because they were cancelled while none was
//! there: those who watch must learn of it.

use std::time::Duration;

use harombe_error::ServiceError as _;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::Journal;

/// Sweeps once every lease period, then counts what is under way.
pub(crate) struct Overdue {
    pub(crate) journal: Journal,
    pub(crate) every: Duration,
}

impl Overdue {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.journal.sweep().await {
                tracing::warn!(reason = %error.reason(), error = %error, "runs that no node drives could not be ended; trying again");
            }
            if let Err(error) = self.journal.measure().await {
                tracing::warn!(reason = %error.reason(), error = %error, "the runs under way were not counted");
            }
        }
    }
}

//! Ends runs whose token has expired while no runtime drove them: those who watch must learn of it.

use std::time::Duration;

use harombe_error::ServiceError as _;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::Journal;

/// Looks for overdue runs once every lease period.
pub(crate) struct Overdue {
    pub(crate) journal: Journal,
    pub(crate) every: Duration,
}

impl Overdue {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.journal.fail_overdue().await {
                tracing::warn!(reason = %error.reason(), error = %error, "overdue runs could not be ended; trying again");
            }
        }
    }
}

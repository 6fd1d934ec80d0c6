//! Keeps memories in order, a little at a time.

use std::time::Duration;

use harombe_error::ServiceError as _;
use tokio_util::sync::CancellationToken;

use crate::domain::consolidation::Consolidator;

/// Rests between cycles.
pub(crate) struct Consolidate {
    pub(crate) consolidator: Consolidator,
    pub(crate) every: Duration,
}

impl Consolidate {
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.work()).await;
        if let Err(error) = self.consolidator.let_go().await {
            tracing::warn!(reason = %error.reason(), error = %error, "other processes wait before they consolidate memories");
        }
    }

    async fn work(&self) {
        loop {
            tokio::time::sleep(self.every).await;
            if let Err(error) = self.consolidator.cycle().await {
                tracing::warn!(reason = %error.reason(), error = %error, "memories wait to be consolidated; trying again");
            }
        }
    }
}

//! Erases what is due, and records what was interrupted.

use std::time::Duration;

use harombe_error::ServiceError as _;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::Memories;

const LOOK: Duration = Duration::from_secs(1);

/// Keeps memories as they should be.
pub(crate) struct Erase {
    pub(crate) memories: Memories,
}

impl Erase {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut begun = false;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if !begun {
                match self.memories.take_up_again().await {
                    Ok(_) => begun = true,
                    Err(error) => {
                        tracing::warn!(reason = %error.reason(), error = %error, "steps that were set aside wait to be tried again");
                    }
                }
            }
            if let Err(error) = self.memories.record_the_unrecorded().await {
                tracing::warn!(reason = %error.reason(), error = %error, "steps wait to be recorded; trying again");
            }
            if let Err(error) = self.memories.sweep().await {
                tracing::warn!(reason = %error.reason(), error = %error, "what was erased is in the database's files for now; trying again");
            }
            if let Err(error) = self.memories.erase_what_is_due().await {
                tracing::warn!(reason = %error.reason(), error = %error, "memories that are due were not erased; trying again");
            }
        }
    }
}

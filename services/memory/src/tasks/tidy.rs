//! Lets go what is in memory of people who were erased at another process.

use std::sync::Arc;
use std::time::Duration;

use harombe_error::ServiceError as _;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::recall::Recaller;
use crate::store::Peers;

/// Nothing of them is in memory for longer, and nobody is shown any of it meanwhile.
const LOOK: Duration = Duration::from_secs(60);

/// Looks now and then who is no more.
pub(crate) struct Tidy {
    pub(crate) recaller: Recaller,
    pub(crate) peers: Arc<dyn Peers>,
}

impl Tidy {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.recaller.tidy(&*self.peers).await {
                tracing::warn!(reason = %error.reason(), error = %error, "indexes of people who were erased elsewhere may be in memory");
            }
        }
    }
}

//! Makes memories of turns, soon after each has ended.

use std::sync::Arc;
use std::time::Duration;

use harombe_error::ServiceError as _;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::Memories;

/// How often is looked for turns that nobody told of: of before the start, or that ended at another process.
const LOOK: Duration = Duration::from_secs(5);
/// Turns that end within so long become memories together: who goes on at once does not wait for the disk behind the turn before.
const TOGETHER: Duration = Duration::from_millis(200);
/// With fewer at a time there is no backlog.
const FEW: usize = 16;
/// After a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Collects turns.
pub(crate) struct Collect {
    pub(crate) memories: Memories,
    /// Is told when a turn has ended.
    pub(crate) ended: Arc<Notify>,
}

impl Collect {
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.work()).await;
    }

    async fn work(&self) {
        loop {
            let begun = Instant::now();
            match self.memories.collect().await {
                Ok(0) => {
                    drop(tokio::time::timeout(LOOK, self.ended.notified()).await);
                    tokio::time::sleep(TOGETHER).await;
                }
                // there may be more
                Ok(turns) if turns < FEW => tokio::time::sleep(TOGETHER).await,
                // a backlog has half of the time: whoever talks now comes first
                Ok(_) => tokio::time::sleep(begun.elapsed()).await,
                Err(error) => {
                    tracing::warn!(reason = %error.reason(), error = %error, "turns wait to be remembered; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

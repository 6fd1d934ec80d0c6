//! What must happen without anybody asking: what was interrupted is recorded, and what is due is erased.

use std::time::Duration;

use harombe_types::{EventId, Timestamp};

use super::{Actor, Memories, Which};
use crate::error::Error;

/// A step this old should have been recorded by whoever made it.
const SETTLED: Duration = Duration::from_secs(10);
/// Steps that are read at once, tenants in turn.
const STEPS: u32 = 256;
/// Owners, and memories of each, that are erased at once.
const OWNERS: u32 = 64;
const ERASED: u32 = 256;

impl Memories {
    /// Records, under the same event ids, what a crash or an absent audit has left unrecorded; how much.
    ///
    /// # Errors
    /// The store or audit does not answer; the rest is done next time.
    pub(crate) async fn record_the_unrecorded(&self) -> Result<usize, Error> {
        let now = self.now();
        let settled = i64::try_from(SETTLED.as_millis()).unwrap_or(0);
        let before = Timestamp::from_millis(now.as_millis().saturating_sub(settled));
        let mut recorded = 0;
        for step in self.0.store.unrecorded(before, now, STEPS).await? {
            match self.record(&step, EventId::from(uuid::Uuid::nil())).await {
                Ok(_) => recorded += 1,
                Err(error) if error.is_unavailable() => return Err(error),
                // it has been told, and does not wait any more
                Err(error) if error.is_rejected() => {}
                Err(error) => {
                    let event = step.event;
                    tracing::error!(%event, %error, "a step cannot be recorded; others go on");
                }
            }
        }
        Ok(recorded)
    }

    /// Lets steps that the audit log has refused for good be tried again: a later version of it may take them.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn take_up_again(&self) -> Result<u64, Error> {
        self.0.store.take_up_again().await
    }

    /// Removes what erasures have left in the database's files because somebody was reading them.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn sweep(&self) -> Result<(), Error> {
        self.0.store.sweep().await
    }

    /// Erases what is due; how many owners had some.
    ///
    /// # Errors
    /// The store or audit does not answer; the rest is done next time.
    pub(crate) async fn erase_what_is_due(&self) -> Result<usize, Error> {
        let owners = self.0.store.due_erasures(self.now(), OWNERS).await?;
        let count = owners.len();
        for owner in owners {
            match self.erase_which(owner, Which::Due(ERASED), Actor::Service).await {
                // they are gone, and the step was set aside
                Err(error) if error.is_rejected() => {}
                erased => drop(erased?),
            }
        }
        Ok(count)
    }
}

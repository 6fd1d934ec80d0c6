//! What must happen without anybody asking: deadlines pass, and what was kept but not recorded is recorded.

use std::time::Duration;

use super::authority::Authority;
use super::record;
use crate::Error;
use crate::store::Mark;

/// Rows per round.
const BATCH: u32 = 256;
/// A redemption this old should have been recorded by whoever made it.
const SETTLED: Duration = Duration::from_secs(10);

impl Authority {
    /// Denies what is overdue.
    ///
    /// # Errors
    /// The store or audit cannot be written; the rest is done next time.
    pub async fn expire_overdue(&self) -> Result<(), Error> {
        for approval in self.parts.store.overdue(self.parts.clock.now(), BATCH).await? {
            // Whoever asked has not been answered yet; first it must be known that they asked.
            let approval = self.make_known(approval).await?;
            self.expire(approval).await?;
        }
        Ok(())
    }

    /// Records, under the same event ids, what a crash or an absent audit has left unrecorded.
    ///
    /// # Errors
    /// The store or audit cannot be written; the rest is done next time.
    pub async fn record_the_unrecorded(&self) -> Result<(), Error> {
        for approval in self.parts.store.unrecorded_approvals(BATCH).await? {
            let approval = self.make_known(approval).await?;
            self.settle(approval).await?;
        }
        let now = self.parts.clock.now();
        let before = harombe_types::Timestamp::from_millis(
            now.as_millis() - i64::try_from(SETTLED.as_millis()).unwrap_or(0),
        );
        let mut marks = Vec::new();
        for redemption in self.parts.store.unrecorded_redemptions(before, BATCH).await? {
            self.parts.trail.record(record::redeemed(&redemption)).await?;
            marks.push(Mark::Redemption(
                redemption.run.tenant,
                redemption.run.run,
                redemption.call,
            ));
        }
        self.write_marks(marks).await
    }

    /// Writes down which audit events are in the log.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn write_marks(&self, marks: Vec<Mark>) -> Result<(), Error> {
        if !marks.is_empty() {
            self.parts.store.mark(marks).await?;
        }
        Ok(())
    }
}

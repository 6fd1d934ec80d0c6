//! What must happen without anybody asking: deadlines pass, and what was kept but not recorded is recorded. A record that
//! cannot be dealt with is set aside, whoever's it is, and all others go on.

use std::time::Duration;

use harombe_types::{ApprovalId, CallId, RunId, Tenant, Timestamp};

use super::authority::Authority;
use super::{Aside, record};
use crate::Error;
use crate::store::Mark;

/// Names that are read at once; each record is then read by itself, however long its call is.
const BATCH: u32 = 256;
/// Requests that are removed in one write, each as large as its call; and how many such writes a round has at most.
const FORGOTTEN: u32 = 4;
const REMOVALS: u32 = 8;
/// A redemption this old should have been recorded by whoever made it.
const SETTLED: Duration = Duration::from_secs(10);

impl Authority {
    /// Denies what is overdue.
    ///
    /// # Errors
    /// The store or audit does not answer; the rest is done next time.
    pub async fn expire_overdue(&self, aside: &mut Aside) -> Result<(), Error> {
        let now = self.parts.clock.now();
        let mut after = None;
        loop {
            let names = self.parts.store.overdue(now, after, BATCH).await?;
            let Some((_, last)) = names.last() else {
                return Ok(());
            };
            after = Some(*last);
            for (tenant, id) in names {
                let expired = self.expire_request(&tenant, id);
                self.attend(aside, Mark::Request(id), expired).await?;
            }
        }
    }

    /// Records, under the same event ids, what a crash or an absent audit has left unrecorded.
    ///
    /// # Errors
    /// The store or audit does not answer; the rest is done next time.
    pub async fn record_the_unrecorded(&self, aside: &mut Aside) -> Result<(), Error> {
        aside.tidy(self.parts.clock.now());
        let mut after = None;
        loop {
            let names = self.parts.store.unrecorded_approvals(after, BATCH).await?;
            let Some((_, last)) = names.last() else { break };
            after = Some(*last);
            for (tenant, id) in names {
                let recorded = self.record_request(&tenant, id);
                self.attend(aside, Mark::Request(id), recorded).await?;
            }
        }
        self.record_redemptions(aside).await
    }

    async fn record_redemptions(&self, aside: &mut Aside) -> Result<(), Error> {
        let settled = i64::try_from(SETTLED.as_millis()).unwrap_or(0);
        let before = Timestamp::from_millis(self.parts.clock.now().as_millis() - settled);
        let mut after = None;
        loop {
            let names = self
                .parts
                .store
                .unrecorded_redemptions(before, after, BATCH)
                .await?;
            let Some(last) = names.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for (tenant, run, call) in names {
                let recorded = self.record_redemption(&tenant, run, call);
                let record = Mark::Redemption(tenant.clone(), run, call);
                self.attend(aside, record, recorded).await?;
            }
        }
    }

    /// Does one record's work, unless it failed a short while ago. An error is one that all others would meet too.
    async fn attend(
        &self,
        aside: &mut Aside,
        record: Mark,
        work: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let now = self.parts.clock.now();
        if aside.rests(&record, now) {
            return Ok(());
        }
        match work.await {
            Ok(()) => aside.done(&record),
            Err(error) if error.concerns_all() => return Err(error),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let pause = aside.put(record.clone(), now);
                let again_s = pause.as_secs();
                tracing::warn!(?record, again_s, %error, cause, "a record is set aside; others go on");
                self.parts.numbers.record_failed();
            }
        }
        Ok(())
    }

    async fn expire_request(&self, tenant: &Tenant, id: ApprovalId) -> Result<(), Error> {
        if let Some(approval) = self.parts.store.approval(tenant, id).await? {
            // Whoever asked has not been answered yet; first it must be known that they asked.
            let approval = self.make_known(approval).await?;
            self.expire(approval).await?;
        }
        Ok(())
    }

    async fn record_request(&self, tenant: &Tenant, id: ApprovalId) -> Result<(), Error> {
        if let Some(approval) = self.parts.store.approval(tenant, id).await? {
            let approval = self.make_known(approval).await?;
            self.settle(approval).await?;
        }
        Ok(())
    }

    async fn record_redemption(&self, tenant: &Tenant, run: RunId, call: CallId) -> Result<(), Error> {
        if let Some(redemption) = self.parts.store.redemption(tenant, run, call).await? {
            self.parts.trail.record(record::redeemed(&redemption)).await?;
            let mark = Mark::Redemption(tenant.clone(), run, call);
            self.write_marks(vec![mark]).await?;
        }
        Ok(())
    }

    /// Removes what was decided too long ago to be kept, a few at a time, so that nobody's write waits for it.
    ///
    /// What a call led to is not forgotten with its request: a redemption stays, and a call that was never given away is
    /// asked about anew, of a person, if its run could still ask.
    ///
    /// # Errors
    /// The store cannot be written; it is done next time.
    pub async fn forget_decided(&self) -> Result<(), Error> {
        let kept = i64::try_from(self.parts.retention.as_millis()).unwrap_or(i64::MAX);
        let now = self.parts.clock.now().as_millis();
        let before = Timestamp::from_millis(now.saturating_sub(kept));
        for _ in 0..REMOVALS {
            let removed = self.parts.store.remove_decided(before, FORGOTTEN).await?;
            self.parts.numbers.removed(removed);
            if removed < u64::from(FORGOTTEN) {
                break;
            }
        }
        Ok(())
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

    /// Counts what waits, and what is set aside.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn measure(&self, aside: &Aside) -> Result<(), Error> {
        self.parts.numbers.set_aside(aside.len());
        let (waiting, oldest) = self.parts.store.waiting().await?;
        let age = oldest.map_or(Duration::ZERO, |oldest| oldest.until(self.parts.clock.now()));
        self.parts.numbers.set_pending(waiting, age);
        Ok(())
    }
}

//! Brings a decision to the run that waits for it. The grant is made here, so that its minute begins now.

use std::time::Duration;

use harombe_types::{ApprovalId, RunPrincipal};

use super::authority::Authority;
use super::{Decided, Decision, record};
use crate::Error;

/// What can be said now to a run that waits.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// Nobody has decided; the deadline is this far away.
    Waiting(Duration),
    /// The decision, and the signed grant if it is a yes.
    Decided(Box<Decided>, Option<String>),
}

impl Authority {
    /// What has become of the run's own request.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a request that is not this run's; or the store or audit cannot be written.
    pub async fn deliver(&self, run: &RunPrincipal, id: ApprovalId) -> Result<Delivery, Error> {
        let found = self.parts.store.approval(&run.tenant, id).await?;
        let approval = found
            .filter(|approval| approval.run == *run)
            .ok_or(Error::NotFound("approval"))?;
        let approval = self.make_known(approval).await?;
        let approval = self.expire(approval).await?;
        let Some(decided) = approval.effective() else {
            return Ok(Delivery::Waiting(self.parts.clock.now().until(approval.deadline)));
        };
        let grant = if decided.decision == Decision::Approved {
            let approvers = decided.by.iter().cloned().collect();
            let grant = self.grant(run, &approval.call, &approval.policy_version, approvers)?;
            let signed = self.parts.signer.grant(&grant)?;
            let event = record::authorized(run, &grant, approval.risk, &approval.call).approval(approval.id);
            self.parts.trail.record(event).await?;
            Some(signed)
        } else {
            None
        };
        Ok(Delivery::Decided(Box::new(decided.clone()), grant))
    }
}

//! Keeps those who watch here abreast of what other processes on the same store make known and decide.

use std::collections::BTreeSet;

use harombe_types::{ApprovalId, Tenant};

use super::Change;
use super::authority::Authority;
use crate::Error;

/// Most open requests that are compared; of more, the older ones are told of by hints only.
const COMPARED: u32 = 10_000;

/// Requests that those who watch here know to be open.
#[derive(Debug, Default)]
pub struct Known(BTreeSet<(Tenant, ApprovalId)>);

impl Known {
    /// A request was announced here.
    pub fn note(&mut self, change: Change) {
        let name = (change.tenant, change.id);
        if change.decision.is_some() {
            self.0.remove(&name);
        } else {
            self.0.insert(name);
        }
    }
}

impl Authority {
    /// Announces here a request that another process has changed, or erased.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn hear(&self, tenant: &Tenant, id: ApprovalId) -> Result<(), Error> {
        match self.parts.store.approval(tenant, id).await? {
            Some(approval) if approval.recorded => self.announce_here(Change::of(&approval)),
            Some(_) => {}
            None => self.announce_here(Change::gone(tenant, id)),
        }
        Ok(())
    }

    /// Announces here what has changed without anybody telling. A request that was made and decided since the last look is
    /// announced to nobody: whoever watches had nothing to do about it, and whoever awaits its decision asks by itself.
    ///
    /// # Errors
    /// The store cannot be read; the rest is announced next time.
    pub async fn compare(&self, known: &mut Known) -> Result<(), Error> {
        let open = self.parts.store.open_requests(COMPARED).await?;
        let open: BTreeSet<_> = open.into_iter().collect();
        for (tenant, id) in open.symmetric_difference(&known.0) {
            self.hear(tenant, *id).await?;
        }
        known.0 = open;
        Ok(())
    }
}

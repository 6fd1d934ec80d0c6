//! The one that grants: it holds everything a decision needs.

use std::sync::Arc;
use std::time::Duration;

use harombe_grant::{Grant, Signer, Verifier, audience_for};
use harombe_trail::Trail;
use harombe_types::{Clock, GrantId, RunPrincipal, Subject};
use tokio::sync::broadcast;

use super::limits::LimitPolicy;
use super::risk::RuleSet;
use super::{Change, GRANT_LIFETIME, PendingLimits};
use crate::Error;
use crate::metrics::Numbers;
use crate::store::{Mark, Peers, Store};
use harombe_canonical::CanonicalCall;

/// Changes that a slow watcher may be behind before it reads everything anew.
const CHANGES: usize = 256;

/// What an [`Authority`] is made of.
pub struct Parts {
    pub store: Arc<dyn Store>,
    /// The other processes on the store, if there can be any.
    pub peers: Option<Arc<dyn Peers>>,
    pub rules: RuleSet,
    pub limits: LimitPolicy,
    pub pending: PendingLimits,
    /// For how long a request is kept after its decision.
    pub retention: Duration,
    pub signer: Signer,
    pub verifier: Verifier,
    pub trail: Trail,
    pub clock: Arc<dyn Clock>,
    pub numbers: Numbers,
    /// Redemptions whose audit event is in the log; a task writes them down in groups.
    pub marks: tokio::sync::mpsc::Sender<Mark>,
}

/// Classifies, asks, decides, grants and redeems. Clones share everything.
#[derive(Clone)]
pub struct Authority {
    pub(super) parts: Arc<Parts>,
    pub(super) changes: broadcast::Sender<Change>,
}

impl Authority {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            changes: broadcast::Sender::new(CHANGES),
        }
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &RuleSet {
        &self.parts.rules
    }

    /// Which requests are made known and decided from now on, of all tenants, by whichever process.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Tells whoever watches, here and at other processes.
    pub(super) fn announce(&self, change: Change) {
        if let Some(peers) = &self.parts.peers {
            peers.tell(&change.tenant, change.id);
        }
        self.announce_here(change);
    }

    /// Tells whoever watches here; nobody may be watching.
    pub(super) fn announce_here(&self, change: Change) {
        let _ = self.changes.send(change);
    }

    /// A grant for exactly `call`, valid from now for [`GRANT_LIFETIME`].
    pub(super) fn grant(
        &self,
        run: &RunPrincipal,
        call: &CanonicalCall,
        policy_version: &str,
        approvers: Vec<Subject>,
    ) -> Result<Grant, Error> {
        let clock = &*self.parts.clock;
        let now = clock.now();
        Ok(Grant {
            id: GrantId::generate(clock),
            audience: audience_for(call.tool()).ok_or(Error::ToolUnknown)?,
            not_before: now,
            expires: now.plus(GRANT_LIFETIME),
            tenant: run.tenant.clone(),
            subject: run.subject.clone(),
            agent: run.agent.clone(),
            session: run.session,
            run: run.run,
            call: call.call().parse()?,
            tool: call.tool().to_owned(),
            digest: *call.digest().as_bytes(),
            policy_version: policy_version.to_owned(),
            limits: self.parts.limits.for_call(call)?,
            destinations: destinations(call),
            credentials: Vec::new(),
            approvers,
        })
    }
}

/// The one `host:port` that a call to the web names; none for a URL that names none, which its enforcer refuses.
fn destinations(call: &CanonicalCall) -> Vec<String> {
    let url = call.args().get("url").and_then(serde_json::Value::as_str);
    let url = url
        .filter(|_| call.tool() == "web_fetch")
        .and_then(|text| url::Url::parse(text).ok());
    let destination =
        url.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    destination.into_iter().collect()
}

//! Whether an act is permitted: the broker believes no caller, only hitl's signature over exactly this call.

use std::sync::Arc;

use async_trait::async_trait;
use harombe_canonical::CanonicalCall;
use harombe_grant::{Grant, Lease, Verifier, check_call};
use harombe_types::{Clock, RunPrincipal, ServiceName};

use crate::domain::call::ToolCall;
use crate::error::Error;

/// What a caller shows for an act.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// hitl's grant.
    pub(crate) grant: String,
    /// The canonical call, byte for byte.
    pub(crate) call: Vec<u8>,
}

/// A call whose grant is genuine, unexpired and for exactly this call. It may have been spent before.
#[derive(Debug)]
pub(crate) struct Checked<T> {
    pub(crate) args: T,
    pub(crate) grant: Grant,
    pub(crate) run: RunPrincipal,
    token: String,
}

/// The port to hitl, where a grant is spent.
#[async_trait]
pub(crate) trait Redeemer: Send + Sync {
    /// Spends the grant for the call of this digest and returns the signed lease.
    async fn redeem(&self, grant: &str, digest: &[u8; 32]) -> Result<String, Error>;
}

/// Judges what callers show.
pub(crate) struct Authority {
    verifier: Verifier,
    redeemer: Arc<dyn Redeemer>,
    clock: Arc<dyn Clock>,
}

impl Authority {
    pub(crate) fn new(verifier: Verifier, redeemer: Arc<dyn Redeemer>, clock: Arc<dyn Clock>) -> Self {
        Self {
            verifier,
            redeemer,
            clock,
        }
    }

    /// Reads the call and holds the grant against it and against the run that asks.
    pub(crate) fn check<T: ToolCall>(&self, run: &RunPrincipal, shown: Shown) -> Result<Checked<T>, Error> {
        let call = CanonicalCall::parse(&shown.call).map_err(Error::Call)?;
        if call.tool() != T::TOOL {
            return Err(Error::Tool {
                called: call.tool().chars().take(64).collect(),
                served: T::TOOL,
            });
        }
        let now = self.clock.now();
        let grant = self
            .verifier
            .grant(&shown.grant, ServiceName::SandboxBroker, now)?;
        check_call(&grant, &call)?;
        let same = |what, same: bool| {
            if same {
                Ok(())
            } else {
                Err(Error::ForeignGrant(what))
            }
        };
        same("tenant", grant.tenant == run.tenant)?;
        same("subject", grant.subject == run.subject)?;
        same("agent", grant.agent == run.agent)?;
        same("session", grant.session == run.session)?;
        same("run", grant.run == run.run)?;
        let args = T::from_call(&call)?;
        Ok(Checked {
            args,
            grant,
            run: run.clone(),
            token: shown.grant,
        })
    }

    /// Spends the grant: afterwards the act may be performed, once.
    pub(crate) async fn redeem<T>(&self, checked: &Checked<T>) -> Result<(), Error> {
        let signed = self
            .redeemer
            .redeem(&checked.token, &checked.grant.digest)
            .await?;
        let lease = self
            .verifier
            .lease(&signed, ServiceName::SandboxBroker, self.clock.now())?;
        let grant = &checked.grant;
        let Lease {
            grant: id,
            ref tenant,
            run,
            call,
            ..
        } = lease;
        let same = |what, same: bool| if same { Ok(()) } else { Err(Error::Lease(what)) };
        same("grant", id == grant.id)?;
        same("tenant", *tenant == grant.tenant)?;
        same("run", run == grant.run)?;
        same("call", call == grant.call)
    }
}

//! hitl's pen.

use harombe_identity::{ServiceIdentity, jws};
use harombe_types::ServiceName;

use crate::{Error, Grant, Lease, audience_for, grant, lease};

/// Signs grants and leases; only hitl's signature is honoured.
#[derive(Clone, Debug)]
pub struct Signer(ServiceIdentity);

impl Signer {
    /// `hitl`'s identity; what another service signs, nobody accepts.
    #[must_use]
    pub fn new(hitl: ServiceIdentity) -> Self {
        Self(hitl)
    }

    /// # Errors
    /// The audience does not perform the grant's tool, or the grant is too long for a token.
    pub fn grant(&self, grant: &Grant) -> Result<String, Error> {
        if audience_for(&grant.tool) != Some(grant.audience) {
            return Err(Error::Unsignable("a tool that the audience does not perform"));
        }
        jws::sign(&self.0, grant::TYPE, &grant::Claims::from(grant)).map_err(Error::Sign)
    }

    /// # Errors
    /// The redeemer performs nothing under leases, or the lease is too long for a token.
    pub fn lease(&self, lease: &Lease) -> Result<String, Error> {
        if !matches!(
            lease.redeemer,
            ServiceName::SandboxBroker | ServiceName::EgressProxy
        ) {
            return Err(Error::Unsignable("a redeemer that performs nothing"));
        }
        jws::sign(&self.0, lease::TYPE, &lease::Claims::from(lease)).map_err(Error::Sign)
    }
}

//! How a service that acts judges what it is shown.

use harombe_identity::{TrustRoots, jws};
use harombe_types::{ServiceName, Timestamp};

use crate::sealed::ISSUER;
use crate::{Error, Grant, Lease, grant, lease};

/// Verifies grants and leases against the service CA, without asking hitl.
#[derive(Clone, Debug)]
pub struct Verifier(TrustRoots);

impl Verifier {
    #[must_use]
    pub fn new(roots: TrustRoots) -> Self {
        Self(roots)
    }

    /// The grant, when hitl signed it for `audience`, for a tool that `audience` performs, and it is valid at `now`.
    /// That it was not spent before, only hitl knows.
    ///
    /// # Errors
    /// See [`Error`]; every one of them means: do not act.
    pub fn grant(&self, token: &str, audience: ServiceName, now: Timestamp) -> Result<Grant, Error> {
        let claims: grant::Claims =
            jws::verify(token, grant::TYPE, &self.0, ISSUER, now).map_err(Error::Token)?;
        claims.check(audience, now)
    }

    /// The lease, when hitl signed it for `redeemer` and it is valid at `now`. `redeemer` is who shows it, by its
    /// certificate.
    ///
    /// # Errors
    /// See [`Error`]; every one of them means: do not act.
    pub fn lease(&self, token: &str, redeemer: ServiceName, now: Timestamp) -> Result<Lease, Error> {
        let claims: lease::Claims =
            jws::verify(token, lease::TYPE, &self.0, ISSUER, now).map_err(Error::Token)?;
        claims.check(redeemer, now)
    }
}

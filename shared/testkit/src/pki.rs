//! A CA of the test's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use harombe_identity::{CertificateAuthority, ServiceIdentity, TokenMinter, TokenVerifier, TrustRoots};
use harombe_rpc::Door;
use harombe_types::{Clock, Person, RunPrincipal, ServiceName};

/// A CA, an identity for every service, and tokens for whom the test likes.
pub struct TestPki {
    identities: BTreeMap<ServiceName, ServiceIdentity>,
    roots: TrustRoots,
    minter: TokenMinter,
    clock: Arc<dyn Clock>,
}

#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test whose keys cannot be made fails"
)]
impl TestPki {
    /// Certificates are valid from the clock's now, for a year.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let ca = CertificateAuthority::create("test.harombe", &*clock).unwrap();
        let issue = |service| (service, ca.issue(service, &*clock).unwrap());
        let identities: BTreeMap<_, _> = ServiceName::SERVICES.into_iter().map(issue).collect();
        let minter = TokenMinter::new(identities[&ServiceName::Gateway].clone());
        Self {
            identities,
            roots: ca.roots().clone(),
            minter,
            clock,
        }
    }

    /// # Panics
    /// For `client`, which has none.
    #[must_use]
    pub fn identity(&self, service: ServiceName) -> ServiceIdentity {
        self.identities[&service].clone()
    }

    #[must_use]
    pub fn roots(&self) -> &TrustRoots {
        &self.roots
    }

    #[must_use]
    pub fn verifier(&self) -> Arc<TokenVerifier> {
        Arc::new(TokenVerifier::new(self.roots.clone()))
    }

    /// The door of a service that others of this CA call.
    #[must_use]
    pub fn door(&self) -> Door {
        Door::Internal(self.verifier())
    }

    #[must_use]
    pub fn minter(&self) -> &TokenMinter {
        &self.minter
    }

    /// A PERSON token from the clock's now.
    #[must_use]
    pub fn person_token(&self, person: &Person, audience: ServiceName) -> String {
        self.minter
            .person(person, audience, self.clock.now())
            .unwrap()
            .into()
    }

    /// A RUN token for fifteen minutes from the clock's now.
    #[must_use]
    pub fn run_token(&self, run: &RunPrincipal) -> String {
        let now = self.clock.now();
        self.minter
            .run(run, now.plus(Duration::from_secs(15 * 60)), now)
            .unwrap()
            .into()
    }
}

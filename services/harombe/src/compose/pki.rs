//! The embedded system's certificates: a CA of its own, made at first start, and one certificate for each service.

use std::collections::HashMap;
use std::time::Duration;

use harombe_identity::{CertificateAuthority, Error, ServiceIdentity};
use harombe_types::{Clock, ServiceName};

use super::{DataDir, StartError};

const TRUST_DOMAIN: &str = "embedded.harombe";
/// A certificate that would not last this long is made anew at start.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Every service's identity.
#[derive(Debug)]
pub struct Pki {
    identities: HashMap<ServiceName, ServiceIdentity>,
}

impl Pki {
    /// Reads the certificates under the data directory; makes what is absent or about to expire.
    ///
    /// # Errors
    /// A file cannot be read or written, or is not what it should be.
    pub fn open(data: &DataDir, clock: &dyn Clock) -> Result<Self, StartError> {
        let dir = data.path().join("pki");
        let fault = |source| StartError::Pki {
            path: dir.clone(),
            source,
        };
        let authority = if dir.join("ca.pem").exists() {
            CertificateAuthority::open(&dir).map_err(fault)?
        } else {
            let authority = CertificateAuthority::create(TRUST_DOMAIN, clock).map_err(fault)?;
            authority.save(&dir).map_err(fault)?;
            authority
        };
        let mut identities = HashMap::new();
        for service in ServiceName::SERVICES {
            let keys = data.service(service)?.join("keys");
            let identity = match ServiceIdentity::load(&keys, clock.now().plus(RENEW_BEFORE)) {
                Ok(identity) => identity,
                Err(Error::File { .. } | Error::Chain(_)) => {
                    let identity = authority.issue(service, clock).map_err(fault)?;
                    identity.save(&keys).map_err(fault)?;
                    identity
                }
                Err(source) => return Err(StartError::Pki { path: keys, source }),
            };
            identities.insert(service, identity);
        }
        Ok(Self { identities })
    }

    /// The identity of a service.
    ///
    /// # Errors
    /// For [`ServiceName::Client`], which has none.
    pub fn identity(&self, service: ServiceName) -> Result<ServiceIdentity, StartError> {
        let missing = || StartError::Pki {
            path: "pki".into(),
            source: Error::NotIssuable(service),
        };
        self.identities.get(&service).cloned().ok_or_else(missing)
    }
}

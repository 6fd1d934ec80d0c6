//! Certificates: the embedded system's, which it makes itself, and those of services that are processes of their own.

mod setup;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harombe_identity::{CertificateAuthority, Error, ServiceIdentity};
use harombe_types::{Clock, ServiceName};

use super::{DataDir, StartError};

pub use setup::{init, renew};

const TRUST_DOMAIN: &str = "embedded.harombe";
/// A certificate that would not last this long is made anew at start, or complained about.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The identities of the services in this process.
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

    /// Reads one service's certificate, key and CA below the directory that [`init`] made, and nothing else there.
    ///
    /// # Errors
    /// They are absent, unreadable, expired, another CA's or another service's: each with what to do.
    pub fn of_service(dir: &Path, service: ServiceName, clock: &dyn Clock) -> Result<Self, StartError> {
        let path = dir.join(service.as_str());
        let unusable = |fault| StartError::Certificate {
            service,
            path: path.clone(),
            fault,
        };
        let now = clock.now();
        let identity = ServiceIdentity::load(&path, now).map_err(|error| unusable(explain(error, dir)))?;
        if identity.name() != service {
            let other = identity.name();
            return Err(unusable(format!(
                "it is {other}'s; put {service}'s own there, or make it anew with `harombe pki renew {}`",
                dir.display()
            )));
        }
        let leaf_lasts = identity
            .roots()
            .verify_chain(identity.chain(), now.plus(RENEW_BEFORE));
        if leaf_lasts.is_err() {
            tracing::warn!(
                service = service.as_str(),
                "the certificate expires in less than 30 days; make new ones with `harombe pki renew`"
            );
        }
        Ok(Self {
            identities: HashMap::from([(service, identity)]),
        })
    }

    /// Reads one service's certificate, key and CA from its entry in Vault.
    ///
    /// # Errors
    /// Vault does not hand them out, or they are absent, expired, another CA's or another service's.
    pub async fn in_vault(
        vault: &harombe_secrets::VaultConfig,
        service: ServiceName,
        clock: &dyn Clock,
    ) -> Result<Self, StartError> {
        let vault = harombe_secrets::Vault::new(vault.clone());
        let identity = vault.identity(service, clock.now()).await;
        let identity = identity.map_err(|source| StartError::Vault { service, source })?;
        Ok(Self {
            identities: HashMap::from([(service, identity)]),
        })
    }

    /// The identity of a service.
    ///
    /// # Errors
    /// It has none in this process; [`ServiceName::Client`] has none anywhere.
    pub fn identity(&self, service: ServiceName) -> Result<ServiceIdentity, StartError> {
        let identity = self.identities.get(&service).cloned();
        identity.ok_or_else(|| StartError::Pki {
            path: PathBuf::from("pki"),
            source: Error::NotIssuable(service),
        })
    }
}

/// What is wrong with a service's certificate and what to do, in words for its operator.
fn explain(error: Error, pki: &Path) -> String {
    let pki = pki.display();
    match error {
        Error::File { path, source } if source.kind() == ErrorKind::NotFound => format!(
            "{} is not there; make certificates with `harombe pki init {pki}`, or correct network.pki",
            path.display()
        ),
        Error::File { path, source } => format!(
            "{} cannot be read: {source}; let the user that runs the service read it",
            path.display()
        ),
        Error::Chain(webpki::Error::CertExpired { .. }) => {
            format!("it has expired; make a new one with `harombe pki renew {pki}`")
        }
        Error::Chain(webpki::Error::CertNotValidYet { .. }) => {
            "it is not valid yet; check this machine's clock".to_owned()
        }
        Error::Chain(_) => format!(
            "it was not issued by the CA beside it, in ca.pem; use the three files that were made together, or make them anew with `harombe pki renew {pki}`"
        ),
        error => error.to_string(),
    }
}

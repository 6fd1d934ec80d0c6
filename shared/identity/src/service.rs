//! A service's own certificate and key.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use harombe_types::{ServiceName, Timestamp};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::roots::certificate_pem;
use crate::{Error, TrustRoots, files};

const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";
const CA: &str = "ca.pem";

/// What a service proves itself with, and the CA by which it judges others. Cheap to clone.
#[derive(Clone)]
pub struct ServiceIdentity(Arc<Inner>);

struct Inner {
    name: ServiceName,
    chain: Vec<CertificateDer<'static>>,
    pkcs8: Zeroizing<Vec<u8>>,
    key: Ed25519KeyPair,
    roots: TrustRoots,
}

/// Shows the name only: the key must not reach a log.
impl std::fmt::Debug for ServiceIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceIdentity")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}

impl ServiceIdentity {
    /// Checks at `now` that the chain leads to the CA and that the key is the certificate's.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        pkcs8: Zeroizing<Vec<u8>>,
        roots: TrustRoots,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let name = roots.verify_chain(&chain, now)?;
        let key = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| Error::Key)?;
        let leaf = chain.first().ok_or(Error::ChainLength)?;
        let probe = key.public_key().as_ref().to_vec();
        crate::roots::verify_signature(leaf, &probe, key.sign(&probe).as_ref())
            .map_err(|_| Error::KeyMismatch)?;
        Ok(Self(Arc::new(Inner {
            name,
            chain,
            pkcs8,
            key,
            roots,
        })))
    }

    /// Reads `cert.pem`, `key.pem` and `ca.pem` of a directory.
    ///
    /// # Errors
    /// A file is missing, unreadable or not what it should be, the key is open to others, or the certificate is
    /// not valid at `now`.
    pub fn load(dir: &Path, now: Timestamp) -> Result<Self, Error> {
        let (ca, certificate) = (files::read(&dir.join(CA))?, files::read(&dir.join(CERTIFICATE))?);
        let key = Zeroizing::new(files::read_private(&dir.join(KEY))?);
        Self::from_pem(&certificate, &key, &ca, now)
    }

    /// Reads what those three files hold, wherever it was kept.
    ///
    /// # Errors
    /// A text is not what it should be, or the certificate is not valid at `now`.
    pub fn from_pem(certificate: &str, key: &str, ca: &str, now: Timestamp) -> Result<Self, Error> {
        let roots = TrustRoots::from_pem(ca)?;
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Error::Pem { what: "certificate" })?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| Error::Pem { what: "private key" })?;
        Self::new(chain, Zeroizing::new(key.secret_pkcs8_der().to_vec()), roots, now)
    }

    /// Writes what [`load`](Self::load) reads; the key 0600, the directory 0700 if it has to be made.
    ///
    /// # Errors
    /// The directory or a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        files::create_dir(dir)?;
        let chain: String = self.0.chain.iter().map(certificate_pem).collect();
        let key = Zeroizing::new(pem::encode(&pem::Pem::new(
            "PRIVATE KEY",
            self.0.pkcs8.as_slice(),
        )));
        files::write(&dir.join(KEY), 0o600, &key)?;
        files::write(&dir.join(CERTIFICATE), 0o644, &chain)?;
        files::write(&dir.join(CA), 0o644, &self.0.roots.ca_pem())
    }

    #[must_use]
    pub fn name(&self) -> ServiceName {
        self.0.name
    }

    /// The certificate and its intermediates, without the CA's own.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    /// The private key, for a TLS stack.
    #[must_use]
    pub fn key(&self) -> PrivatePkcs8KeyDer<'_> {
        PrivatePkcs8KeyDer::from(self.0.pkcs8.as_slice())
    }

    #[must_use]
    pub fn roots(&self) -> &TrustRoots {
        &self.0.roots
    }

    /// An Ed25519 signature (64 bytes).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.key.sign(message).as_ref().to_vec()
    }
}

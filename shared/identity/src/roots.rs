//! The one CA that services trust, and the proof that a certificate chain leads to it.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use harombe_types::{ServiceName, Timestamp};
use parking_lot::Mutex;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::Error;
use crate::cache::Cache;

/// Leaf, and at most three intermediates.
pub(crate) const MAX_CHAIN: usize = 4;

/// Chains in use: one a service and replica.
const CACHED_CHAINS: usize = 256;

/// The service CA as the only anchor of trust.
#[derive(Clone, Debug)]
pub struct TrustRoots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    trust_domain: String,
    certificate: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
    verified: Mutex<Cache<[u8; 32], ServiceName>>,
}

impl TrustRoots {
    /// # Errors
    /// The text holds no certificate, or one that is not a service CA's.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| Error::Pem {
            what: "CA certificate",
        })?;
        Self::from_der(certificate)
    }

    /// # Errors
    /// The certificate is not a service CA's.
    pub fn from_der(certificate: CertificateDer<'static>) -> Result<Self, Error> {
        let trust_domain = only_uri(&certificate)?
            .strip_prefix("spiffe://")
            .filter(|domain| is_trust_domain(domain))
            .ok_or(Error::Claim("CA certificate's SPIFFE id"))?
            .to_owned();
        let anchor = webpki::anchor_from_trusted_cert(&certificate)
            .map_err(Error::Chain)?
            .to_owned();
        let verified = Mutex::new(Cache::new(CACHED_CHAINS));
        Ok(Self(Arc::new(Inner {
            trust_domain,
            certificate,
            anchor,
            verified,
        })))
    }

    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.0.trust_domain
    }

    #[must_use]
    pub fn ca_der(&self) -> &CertificateDer<'static> {
        &self.0.certificate
    }

    #[must_use]
    pub fn ca_pem(&self) -> String {
        certificate_pem(&self.0.certificate)
    }

    /// The service whose certificate opens `chain`, when the chain leads to our CA, is valid at `now`, and the
    /// certificate's only URI is `spiffe://<trust domain>/svc/<name>`.
    ///
    /// # Errors
    /// The chain is empty, too long, not trusted at `now`, or names no service.
    pub fn verify_chain(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<ServiceName, Error> {
        let key = chain_key(chain);
        if let Some(service) = self.0.verified.lock().get(&key, now) {
            return Ok(service);
        }
        let service = self.verify_afresh(chain, now)?;
        self.0.verified.lock().insert(key, now, service);
        Ok(service)
    }

    fn verify_afresh(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<ServiceName, Error> {
        let Some((leaf, intermediates)) = chain.split_first().filter(|_| chain.len() <= MAX_CHAIN) else {
            return Err(Error::ChainLength);
        };
        let seconds = u64::try_from(now.as_secs()).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let certificate = EndEntityCert::try_from(leaf).map_err(Error::Chain)?;
        certificate
            .verify_for_usage(
                &[webpki::aws_lc_rs::ED25519],
                std::slice::from_ref(&self.0.anchor),
                intermediates,
                time,
                KeyUsage::client_auth(),
                None,
                None,
            )
            .map_err(Error::Chain)?;
        self.service_of(leaf)
    }

    fn service_of(&self, leaf: &CertificateDer<'_>) -> Result<ServiceName, Error> {
        let name = only_uri(leaf)?
            .strip_prefix("spiffe://")
            .and_then(|id| id.strip_prefix(self.trust_domain()))
            .and_then(|path| path.strip_prefix("/svc/"))
            .and_then(|name| name.parse::<ServiceName>().ok())
            .filter(|name| ServiceName::SERVICES.contains(name));
        name.ok_or_else(|| Error::NoService {
            trust_domain: self.trust_domain().to_owned(),
        })
    }
}

/// Checks a signature by the key of a certificate that was verified before.
pub(crate) fn verify_signature(
    leaf: &CertificateDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    EndEntityCert::try_from(leaf)
        .and_then(|certificate| certificate.verify_signature(webpki::aws_lc_rs::ED25519, message, signature))
        .map_err(|_| Error::Signature)
}

pub(crate) fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    pem::encode(&pem::Pem::new("CERTIFICATE", certificate.as_ref()))
}

pub(crate) fn is_trust_domain(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
    (1..=255).contains(&text.len()) && text.bytes().all(allowed)
}

/// A SPIFFE certificate has exactly one URI (X509-SVID §2).
fn only_uri<'a>(certificate: &'a CertificateDer<'a>) -> Result<&'a str, Error> {
    let certificate = EndEntityCert::try_from(certificate).map_err(Error::Chain)?;
    let mut uris = certificate.valid_uri_names();
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Ok(uri),
        _ => Err(Error::Claim("certificate's SPIFFE id")),
    }
}

fn chain_key(chain: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    for certificate in chain {
        hash.update(&certificate.len().to_be_bytes());
        hash.update(certificate);
    }
    crate::token::to_array(hash.finish().as_ref())
}

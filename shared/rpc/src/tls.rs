//! TLS: between services 1.3 with our CA as the only root and a certificate on both sides; at the public door as the web does it.

use std::sync::Arc;

use harombe_identity::ServiceIdentity;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// An identity that a TLS stack cannot use, or an address that cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the certificate, key or CA cannot be used for TLS")]
    Identity(#[source] rustls::Error),
    #[error("client certificates cannot be verified with this CA")]
    Verifier(#[source] VerifierBuilderError),
    #[error("{0:?} is not an address to call: it must have a host and a port")]
    Address(http::Uri),
    #[error("{0:?} is not an address to call: write HOST:PORT")]
    Target(String),
    #[error("a balanced channel needs at least one address")]
    NoTargets,
    #[error("{what} is not in PEM form, or there is none")]
    Pem { what: &'static str },
    #[error("no root certificates were found on this system; name the CA of the server instead")]
    NoRoots,
    #[error("an API key does not go to {0} in plain text; use https, or an address of this machine")]
    PlainText(http::Uri),
    #[error("the API key has characters that no header can carry")]
    Key,
    #[error("the method options cannot be read")]
    Methods(#[from] crate::MethodsError),
}

pub(crate) fn server_config(identity: &ServiceIdentity) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots(identity)?.into(), Arc::clone(&provider))
            .build()
            .map_err(TlsError::Verifier)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Identity)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain().to_vec(), key(identity))
        .map_err(TlsError::Identity)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

pub(crate) fn client_config(identity: &ServiceIdentity) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Identity)?
        .with_root_certificates(roots(identity)?)
        .with_client_auth_cert(identity.chain().to_vec(), key(identity))
        .map_err(TlsError::Identity)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// What [`crate::serve_public`] needs to speak TLS: the certificate chain (the server's own first) and its key, as PEM.
///
/// # Errors
/// Either cannot be read, or they do not belong together.
pub fn public_tls(chain: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(chain, "the certificate chain")?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Pem { what: "the key" })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Identity)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Identity)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// For a client of the public door; the roots are `ca` (PEM), or the system's.
pub(crate) fn public_client_config(ca: Option<&[u8]>) -> Result<ClientConfig, TlsError> {
    let found = match ca {
        Some(pem) => certificates(pem, "the CA")?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found);
    if added == 0 {
        return Err(TlsError::NoRoots);
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Identity)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or(TlsError::Pem { what })
}

// Named, not the process default: a library must not depend on who installed what before it.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn roots(identity: &ServiceIdentity) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots
        .add(identity.roots().ca_der().clone())
        .map_err(TlsError::Identity)?;
    Ok(roots)
}

fn key(identity: &ServiceIdentity) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from(identity.key().clone_key())
}

//! Mutual TLS between services: TLS 1.3, our CA as the only root, both sides with a certificate.

use std::sync::Arc;

use harombe_identity::ServiceIdentity;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::TLS13;
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

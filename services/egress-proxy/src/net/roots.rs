//! Who may vouch for a peer's name: the machine's own certificate authorities, or given ones.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Where the trusted certificate authorities come from.
#[derive(Clone, Debug)]
pub enum Roots {
    /// Those the operating system trusts, read at the first use.
    System,
    /// Exactly these.
    Given(RootCertStore),
}

/// TLS cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    #[error("the system trusts no certificate authority")]
    Empty,
    #[error("the tls configuration cannot be made")]
    Config(#[source] rustls::Error),
}

impl Roots {
    /// A client configuration that always verifies the peer. Reads files for [`Roots::System`].
    ///
    /// # Errors
    /// There is no authority to verify by.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, RootsError> {
        let store = match self {
            Self::System => system(),
            Self::Given(store) => store.clone(),
        };
        if store.is_empty() {
            return Err(RootsError::Empty);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(RootsError::Config)?
            .with_root_certificates(store)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn system() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a system certificate could not be read");
    }
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    store
}

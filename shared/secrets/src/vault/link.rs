//! The connection to Vault: verified TLS, no proxy, no redirect, every request bounded, and errors without a secret in them.

use std::collections::BTreeMap;
use std::future::Future;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use vaultrs::api::{AuthInfo, EndpointMiddleware};
use vaultrs::client::{VaultClient, VaultClientSettings, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;
use vaultrs::{auth, kv2, token};
use zeroize::Zeroizing;

use crate::config::VaultConfig;

/// Why Vault did not do what it was asked, as far as we act on it or say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("vault cannot be reached")]
    Unreachable,
    #[error("vault did not answer in time")]
    Slow,
    #[error("vault is sealed, or not ready")]
    NotReady,
    #[error("vault answered with status {0}")]
    Status(u16),
    #[error("vault refuses the login")]
    Login,
    #[error("vault does not permit it")]
    Forbidden,
    #[error("the file with the secret id cannot be read, or others can read it too")]
    SecretId,
    #[error("the certificate authorities cannot be read")]
    Authorities,
    #[error("vault answered something else than was asked for")]
    Nonsense,
}

/// What an entry holds, as far as it is text.
pub(super) type Entry = BTreeMap<String, Zeroizing<String>>;

pub(super) struct Link {
    config: VaultConfig,
    http: OnceLock<reqwest::Client>,
}

impl Link {
    pub(super) fn new(config: VaultConfig) -> Self {
        Self {
            config,
            http: OnceLock::new(),
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.config.timeout.as_duration()
    }

    /// A client that speaks with this token; without one only to log in.
    pub(super) fn client(&self, token: &str) -> Result<VaultClient, Fault> {
        let http = match self.http.get() {
            Some(http) => http,
            None => {
                let http = connect(&self.config)?;
                self.http.get_or_init(|| http)
            }
        };
        let base = self.config.address.trim_end_matches('/');
        Ok(VaultClient {
            http: rustify::clients::reqwest::Client::new(base, http.clone()),
            middle: EndpointMiddleware {
                token: token.to_owned(),
                version: "v1".to_owned(),
                wrap: None,
                namespace: None,
            },
            settings: settings(base)?,
        })
    }

    /// Logs in; the token may only hold what can stand in a header field.
    pub(super) async fn login(&self) -> Result<AuthInfo, Fault> {
        let role = &self.config.approle;
        let secret_id = read_secret_id(&role.secret_id_file)?;
        let client = self.client("")?;
        let login = auth::approle::login(&client, &role.mount, &role.role_id, &secret_id);
        match quietly(login).await {
            Ok(info) => checked(info),
            // Wrong or revoked ids are a bad request to Vault.
            Err(Fault::Status(400) | Fault::Forbidden) => Err(Fault::Login),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn renew(&self, token: &str) -> Result<AuthInfo, Fault> {
        let client = self.client(token)?;
        checked(quietly(token::renew_self(&client, None)).await?)
    }

    /// Does Vault still know the token?
    pub(super) async fn lives(&self, token: &str) -> Result<bool, Fault> {
        let client = self.client(token)?;
        match quietly(token::lookup_self(&client)).await {
            Ok(_) => Ok(true),
            Err(Fault::Forbidden) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// `None` when there is no such entry, or it was deleted.
    pub(super) async fn read(&self, client: &VaultClient, name: &str) -> Result<Option<Entry>, Fault> {
        let path = self.path(name);
        let read = kv2::read::<BTreeMap<String, Text>>(client, &self.config.mount, &path);
        match quietly(read).await {
            Ok(entry) => Ok(Some(
                entry
                    .into_iter()
                    .filter_map(|(name, text)| Some((name, text.0?)))
                    .collect(),
            )),
            Err(Fault::Status(404)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn write(
        &self,
        client: &VaultClient,
        name: &str,
        field: &str,
        text: &str,
    ) -> Result<(), Fault> {
        let entry = BTreeMap::from([(field, text)]);
        let path = self.path(name);
        quietly(kv2::set(client, &self.config.mount, &path, &entry))
            .await
            .map(|_| ())
    }

    pub(super) async fn list(&self, client: &VaultClient) -> Result<Vec<String>, Fault> {
        match quietly(kv2::list(client, &self.config.mount, &self.config.prefix)).await {
            Err(Fault::Status(404)) => Ok(Vec::new()),
            other => other,
        }
    }

    /// All versions of an entry; says whether there was one.
    pub(super) async fn remove(&self, client: &VaultClient, name: &str) -> Result<bool, Fault> {
        let path = self.path(name);
        match quietly(kv2::read_metadata(client, &self.config.mount, &path)).await {
            Err(Fault::Status(404)) => return Ok(false),
            other => other?,
        };
        quietly(kv2::delete_metadata(client, &self.config.mount, &path)).await?;
        Ok(true)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.config.prefix)
    }
}

/// A value that is text, or none of ours.
struct Text(Option<Zeroizing<String>>);

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Self(Some(Zeroizing::new(text))),
            _ => Self(None),
        })
    }
}

/// The client's own log lines could hold what it sends and receives; and its errors do, so only their kind is kept.
async fn quietly<T>(asking: impl Future<Output = Result<T, ClientError>>) -> Result<T, Fault> {
    asking
        .with_subscriber(NoSubscriber::default())
        .await
        .map_err(|error| fault(&error))
}

fn fault(error: &ClientError) -> Fault {
    use rustify::errors::ClientError as Rest;
    let code = match error {
        ClientError::APIError { code, .. }
        | ClientError::RestClientError {
            source: Rest::ServerResponseError { code, .. },
        } => *code,
        ClientError::RestClientError {
            source: Rest::RequestError { source, .. } | Rest::ResponseError { source },
        } => {
            let late = source
                .downcast_ref::<reqwest::Error>()
                .is_some_and(reqwest::Error::is_timeout);
            return if late { Fault::Slow } else { Fault::Unreachable };
        }
        _ => return Fault::Nonsense,
    };
    match code {
        403 => Fault::Forbidden,
        429 | 472 | 473 | 503 => Fault::NotReady,
        code => Fault::Status(code),
    }
}

fn checked(info: AuthInfo) -> Result<AuthInfo, Fault> {
    let token = &info.client_token;
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::Nonsense);
    }
    Ok(info)
}

/// The group may read it, as mounted files often demand; everybody may not.
fn read_secret_id(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let about = std::fs::metadata(path).map_err(|_| Fault::SecretId)?;
    if about.mode() & 0o007 != 0 || !about.is_file() || about.len() > 4096 {
        return Err(Fault::SecretId);
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|_| Fault::SecretId)?);
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn connect(config: &VaultConfig) -> Result<reqwest::Client, Fault> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Fault::Authorities)?
        .with_root_certificates(authorities(config)?)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(config.timeout.as_duration())
        .timeout(config.timeout.as_duration())
        .build()
        .map_err(|_| Fault::Authorities)
}

fn authorities(config: &VaultConfig) -> Result<RootCertStore, Fault> {
    let mut store = RootCertStore::empty();
    if config.address.starts_with("http://") {
        return Ok(store);
    }
    match &config.ca {
        Some(path) => {
            for certificate in CertificateDer::pem_file_iter(path).map_err(|_| Fault::Authorities)? {
                let certificate = certificate.map_err(|_| Fault::Authorities)?;
                store.add(certificate).map_err(|_| Fault::Authorities)?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(Fault::Authorities);
    }
    Ok(store)
}

/// Everything is said, so that no variable of the environment says it.
fn settings(address: &str) -> Result<VaultClientSettings, Fault> {
    VaultClientSettingsBuilder::default()
        .address(address)
        .ca_certs(Vec::new())
        .identity(None)
        .timeout(None)
        .token("")
        .verify(true)
        .wrapping(false)
        .build()
        .map_err(|_| Fault::Nonsense)
}

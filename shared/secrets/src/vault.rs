//! Secrets in Vault: a key-value store (version 2), read anew at every use under a token that is kept alive.
//!
//! Nothing that Vault hands out outlives the moment of its use, so there is nothing to be used longer than Vault allows. While
//! Vault cannot be reached, is sealed or refuses us, there are no secrets.

mod keeper;
mod link;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use harombe_identity::ServiceIdentity;
use harombe_types::{ServiceName, Timestamp};
use tokio::time::timeout;
use vaultrs::client::VaultClient;

use crate::config::VaultConfig;
use crate::{Error, Secret, SecretName, Secrets};

use keeper::Keeper;
pub use link::Fault;
use link::{Entry, Link};

/// The field of an entry that holds the secret.
const FIELD: &str = "value";

/// The store in Vault. Contacts nobody before its first use.
pub struct Vault {
    link: Arc<Link>,
    keeper: Keeper,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

impl Vault {
    /// Takes a configuration that was validated.
    #[must_use]
    pub fn new(config: VaultConfig) -> Self {
        let link = Arc::new(Link::new(config));
        Self {
            keeper: Keeper::new(Arc::clone(&link)),
            link,
        }
    }

    /// A service's own certificate and key: the entry `PREFIX/services/NAME` with the fields `cert`, `key` and `ca`, in PEM.
    /// Each service has a role of its own, which may read its own entry.
    ///
    /// # Errors
    /// There is no such entry, it holds something else or another service's, or Vault does not hand it out.
    pub async fn identity(&self, service: ServiceName, now: Timestamp) -> Result<ServiceIdentity, Error> {
        let entry = self.entry(format!("services/{service}")).await?;
        let mut entry = entry.ok_or(Error::NoIdentity(service))?;
        let mut field = |name| entry.remove(name).ok_or(Error::NoIdentity(service));
        let (certificate, key, ca) = (field("cert")?, field("key")?, field("ca")?);
        let identity = ServiceIdentity::from_pem(&certificate, &key, &ca, now)
            .map_err(|source| Error::Identity { service, source })?;
        if identity.name() == service {
            Ok(identity)
        } else {
            Err(Error::NoIdentity(service))
        }
    }

    async fn entry(&self, path: String) -> Result<Option<Entry>, Error> {
        let read = move |link: Arc<Link>, client| {
            let path = path.clone();
            async move { link.read(&client, &path).await }
        };
        self.run(read).await
    }

    /// Does something with a token that lives. When Vault has taken the token back, once more with a new one.
    async fn run<T, F>(&self, act: impl Fn(Arc<Link>, VaultClient) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let attempt = async {
            let token = self.keeper.token().await?;
            let client = self.link.client(token.text())?;
            match act(Arc::clone(&self.link), client).await {
                Err(Fault::Forbidden) if !self.link.lives(token.text()).await? => {}
                other => return other,
            }
            self.keeper.lost(&token).await;
            let client = self.link.client(self.keeper.token().await?.text())?;
            act(Arc::clone(&self.link), client).await
        };
        let attempt = timeout(self.link.timeout(), attempt).await;
        Ok(attempt.unwrap_or(Err(Fault::Slow))?)
    }
}

#[async_trait]
impl Secrets for Vault {
    async fn get(&self, name: &SecretName) -> Result<Secret, Error> {
        let entry = self.entry(name.to_string()).await?;
        let mut entry = entry.ok_or_else(|| Error::NotFound(name.clone()))?;
        let text = entry
            .remove(FIELD)
            .ok_or_else(|| Error::Malformed(name.clone()))?;
        Secret::new(text).map_err(|_| Error::Malformed(name.clone()))
    }

    async fn list(&self) -> Result<Vec<SecretName>, Error> {
        let list = |link: Arc<Link>, client| async move { link.list(&client).await };
        let keys = self.run(list).await?;
        // Folders and names that are none of ours do not concern us.
        let mut names: Vec<SecretName> = keys.iter().filter_map(|key| key.parse().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn set(&self, name: &SecretName, secret: Secret) -> Result<(), Error> {
        let name = name.clone();
        let set = move |link: Arc<Link>, client| {
            let (name, secret) = (name.clone(), secret.clone());
            async move { link.write(&client, name.as_str(), FIELD, secret.text()).await }
        };
        self.run(set).await
    }

    async fn remove(&self, name: &SecretName) -> Result<(), Error> {
        let path = name.clone();
        let remove = move |link: Arc<Link>, client| {
            let path = path.clone();
            async move { link.remove(&client, path.as_str()).await }
        };
        if self.run(remove).await? {
            Ok(())
        } else {
            Err(Error::NotFound(name.clone()))
        }
    }
}

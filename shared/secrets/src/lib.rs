//! Credentials for the world outside: kept sealed in a file beside the data, or in Vault, and handed out one use at a time.
//!
//! Nothing is remembered between two uses. Whoever asks gets what the store holds at that moment, or a refusal: a store that
//! cannot be reached, or no longer lets us read, means that the credential is not used.

mod config;
mod error;
mod file;
mod name;
mod secret;
mod vault;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

pub use config::{AppRole, Config, VaultConfig};
pub use error::Error;
pub use file::SealedFile;
pub use name::SecretName;
pub use secret::Secret;
pub use vault::{Fault as VaultFault, Vault};

/// A store of secrets.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The secret of that name as it is now.
    ///
    /// # Errors
    /// There is none, or the store does not hand it out.
    async fn get(&self, name: &SecretName) -> Result<Secret, Error>;

    /// All names, sorted.
    ///
    /// # Errors
    /// The store does not answer.
    async fn list(&self) -> Result<Vec<SecretName>, Error>;

    /// Stores a secret, in place of an earlier one of that name.
    ///
    /// # Errors
    /// The store does not take it.
    async fn set(&self, name: &SecretName, secret: Secret) -> Result<(), Error>;

    /// Removes a secret.
    ///
    /// # Errors
    /// There is none, or the store does not answer.
    async fn remove(&self, name: &SecretName) -> Result<(), Error>;
}

impl std::fmt::Debug for dyn Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// The store that the configuration names. `data` is the data directory; nothing is read, made or contacted yet.
///
/// # Errors
/// The configuration cannot be used.
pub fn open(config: &Config, data: &Path) -> Result<Arc<dyn Secrets>, Error> {
    let faults = config.validate();
    if !faults.is_empty() {
        return Err(Error::Config(faults));
    }
    Ok(match &config.vault {
        Some(vault) => Arc::new(Vault::new(vault.clone())),
        None => Arc::new(SealedFile::new(&data.join("egress"))),
    })
}

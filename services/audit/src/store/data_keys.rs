//! The keys that open details: one for each (tenant, subject), made when first needed, kept apart from the log.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::rand;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::Error;
use crate::domain::{DataKey, KEY_LEN, KeyId, key_id_of};

/// Keys kept in memory; beyond this the cache starts anew.
const CACHED: usize = 10_000;

pub(super) type Secret = Zeroizing<[u8; KEY_LEN]>;

/// Whose details a key seals.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) tenant: String,
    /// Empty for the tenant's own.
    pub(super) subject: String,
}

/// Where keys are kept.
#[async_trait]
pub(super) trait KeyStore: Send + Sync {
    /// The key of `owner`: `id` and `secret` when it has none yet, durable before they are returned.
    async fn of(&self, owner: &Owner, id: KeyId, secret: Secret) -> Result<(KeyId, Secret), Error>;

    async fn by_id(&self, id: KeyId) -> Result<Option<Secret>, Error>;

    async fn close(&self);
}

/// Every data key of the log.
pub(crate) struct DataKeys {
    store: Box<dyn KeyStore>,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    by_owner: HashMap<Owner, Arc<DataKey>>,
    by_id: HashMap<KeyId, Arc<DataKey>>,
}

impl DataKeys {
    pub(super) fn new(store: impl KeyStore + 'static) -> Self {
        Self {
            store: Box::new(store),
            cache: Mutex::default(),
        }
    }

    /// The key of an owner. A new one is durable before it is returned, so that nothing is ever sealed with a key that a
    /// crash takes away.
    pub(crate) async fn of(&self, tenant: &str, subject: &str) -> Result<Arc<DataKey>, Error> {
        let owner = Owner {
            tenant: tenant.to_owned(),
            subject: subject.to_owned(),
        };
        if let Some(key) = self.cache.lock().by_owner.get(&owner) {
            return Ok(Arc::clone(key));
        }
        let mut id: KeyId = [0; 16];
        let mut secret = Zeroizing::new([0_u8; KEY_LEN]);
        rand::fill(&mut id)
            .and_then(|()| rand::fill(secret.as_mut_slice()))
            .map_err(|_| Error::Random)?;
        let (id, secret) = self.store.of(&owner, id, secret).await?;
        let key = Arc::new(DataKey::new(id, &secret)?);
        let mut cache = self.cache.lock();
        if cache.by_owner.len() >= CACHED {
            *cache = Cache::default();
        }
        cache.by_owner.insert(owner, Arc::clone(&key));
        cache.by_id.insert(id, Arc::clone(&key));
        Ok(key)
    }

    /// Opens sealed details; `None` when their key is gone or they are not what was sealed.
    pub(crate) async fn open_details(
        &self,
        event: &[u8; 16],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(id) = key_id_of(sealed) else {
            return Ok(None);
        };
        let Some(key) = self.by_id(id).await? else {
            return Ok(None);
        };
        Ok(key.open(event, sealed))
    }

    pub(crate) async fn close(&self) {
        self.store.close().await;
    }

    async fn by_id(&self, id: KeyId) -> Result<Option<Arc<DataKey>>, Error> {
        if let Some(key) = self.cache.lock().by_id.get(&id) {
            return Ok(Some(Arc::clone(key)));
        }
        let Some(secret) = self.store.by_id(id).await? else {
            return Ok(None);
        };
        let key = Arc::new(DataKey::new(id, &secret)?);
        let mut cache = self.cache.lock();
        if cache.by_id.len() >= CACHED {
            *cache = Cache::default();
        }
        cache.by_id.insert(id, Arc::clone(&key));
        Ok(Some(key))
    }
}

/// A stored id or secret, which must have its length.
pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes
        .try_into()
        .map_err(|_| Error::Damaged("a data key is not of its length".to_owned()))
}

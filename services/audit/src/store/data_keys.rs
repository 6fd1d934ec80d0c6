//! The keys that open details: one for each (tenant, subject), made when first needed, kept apart from the log, and
//! destroyed when the log is to forget a person.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::rand;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::Term;
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
    /// The key of `owner`: a [new](fresh) one when it has none, durable before it is returned, and never one that was
    /// stored before.
    async fn of(&self, owner: &Owner) -> Result<(KeyId, Secret), Error>;

    async fn by_id(&self, id: KeyId) -> Result<Option<Secret>, Error>;

    /// Whether `owner` has a key.
    async fn has(&self, owner: &Owner) -> Result<bool, Error>;

    /// Destroys the key of `owner`, if there is one; durable before it returns. Done within `term` or not at all: no
    /// other instance can have become the writer before. Who stops waiting does not call it back.
    async fn destroy(&self, owner: &Owner, term: Term) -> Result<(), Error>;

    /// Leaves nothing of destroyed keys in the files that are this store's own.
    async fn overwrite(&self) -> Result<(), Error>;

    async fn close(&self);
}

/// Every data key of the log.
pub(crate) struct DataKeys {
    store: Box<dyn KeyStore>,
    cache: Mutex<Cache>,
}

/// Keys that this instance seals with. They hold for one term: while it lasts, nobody else destroys a key.
#[derive(Default)]
struct Cache {
    term: Term,
    by_owner: HashMap<Owner, Arc<DataKey>>,
    /// Owners whose key is being destroyed, and how many times over; what the store says of them may not hold any more.
    /// Who stops waiting leaves the owner here, because the key may go all the same.
    going: HashMap<Owner, u32>,
    /// Counts destroyed keys and terms: an answer of the store from before the last of them is not kept.
    changes: u64,
}

/// What one reader has met of the keys. It ends with what is read, so that a destroyed key opens nothing for the next
/// reader, at whichever instance.
#[derive(Default)]
pub(crate) struct Opener {
    met: Mutex<HashMap<KeyId, Option<Arc<DataKey>>>>,
}

impl DataKeys {
    pub(super) fn new(store: impl KeyStore + 'static) -> Self {
        Self {
            store: Box::new(store),
            cache: Mutex::default(),
        }
    }

    /// The key with which an owner's details are sealed in `term`. A new one is durable before it is returned, so that
    /// nothing is ever sealed with a key that a crash takes away.
    pub(crate) async fn of(&self, tenant: &str, subject: &str, term: Term) -> Result<Arc<DataKey>, Error> {
        let owner = Owner::new(tenant, subject);
        let changes = {
            let mut cache = self.cache.lock();
            cache.enter(term)?;
            if let Some(key) = cache.by_owner.get(&owner) {
                return Ok(Arc::clone(key));
            }
            cache.changes
        };
        let (id, secret) = self.store.of(&owner).await?;
        let key = Arc::new(DataKey::new(id, &secret)?);
        self.cache.lock().keep(owner, &key, changes);
        Ok(key)
    }

    /// Whether an owner has a key.
    pub(crate) async fn has(&self, tenant: &str, subject: &str) -> Result<bool, Error> {
        self.store.has(&Owner::new(tenant, subject)).await
    }

    /// Destroys the key of an owner, if there is one, within `term`. Whoever asks for their key afterwards gets a new one.
    pub(crate) async fn destroy(&self, tenant: &str, subject: &str, term: Term) -> Result<(), Error> {
        let owner = Owner::new(tenant, subject);
        self.cache.lock().let_go(&owner, term)?;
        self.store.destroy(&owner, term).await?;
        self.cache.lock().gone(&owner, term);
        self.overwrite().await
    }

    /// Leaves nothing of destroyed keys in the store's own files.
    ///
    /// # Errors
    /// [`Error::Store`] when they are in use just now; trying again may help.
    pub(crate) async fn overwrite(&self) -> Result<(), Error> {
        self.store.overwrite().await
    }

    /// Opens sealed details; `None` when their key is gone or they are not what was sealed.
    pub(crate) async fn open_details(
        &self,
        opener: &Opener,
        event: &[u8; 16],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(id) = key_id_of(sealed) else {
            return Ok(None);
        };
        let key = self.by_id(opener, id).await?;
        Ok(key.and_then(|key| key.open(event, sealed)))
    }

    pub(crate) async fn close(&self) {
        self.store.close().await;
    }

    async fn by_id(&self, opener: &Opener, id: KeyId) -> Result<Option<Arc<DataKey>>, Error> {
        if let Some(met) = opener.met.lock().get(&id) {
            return Ok(met.clone());
        }
        let key = match self.store.by_id(id).await? {
            Some(secret) => Some(Arc::new(DataKey::new(id, &secret)?)),
            None => None,
        };
        let mut met = opener.met.lock();
        if met.len() >= CACHED {
            met.clear();
        }
        met.insert(id, key.clone());
        Ok(key)
    }
}

impl Owner {
    fn new(tenant: &str, subject: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            subject: subject.to_owned(),
        }
    }
}

impl Cache {
    /// Forgets what was known in an earlier term; refuses one that is over.
    fn enter(&mut self, term: Term) -> Result<(), Error> {
        if term < self.term {
            return Err(Error::NotWriter);
        }
        if term > self.term {
            *self = Self {
                term,
                changes: self.changes + 1,
                ..Self::default()
            };
        }
        Ok(())
    }

    /// Keeps what the store said after so many `changes`.
    fn keep(&mut self, owner: Owner, key: &Arc<DataKey>, changes: u64) {
        if self.changes != changes || self.going.contains_key(&owner) {
            return;
        }
        if self.by_owner.len() >= CACHED {
            self.by_owner.clear();
        }
        self.by_owner.insert(owner, Arc::clone(key));
    }

    /// From now on the key of `owner` may go at any moment.
    fn let_go(&mut self, owner: &Owner, term: Term) -> Result<(), Error> {
        self.enter(term)?;
        self.by_owner.remove(owner);
        *self.going.entry(owner.clone()).or_default() += 1;
        Ok(())
    }

    /// One who destroyed the key of `owner` in `term` has seen it gone.
    fn gone(&mut self, owner: &Owner, term: Term) {
        if term != self.term {
            return;
        }
        self.changes += 1;
        if let Some(others) = self.going.get_mut(owner) {
            *others -= 1;
            if *others == 0 {
                self.going.remove(owner);
            }
        }
    }
}

/// A key that nobody has.
pub(super) fn fresh() -> Result<(KeyId, Secret), Error> {
    let mut id: KeyId = [0; 16];
    let mut secret = Zeroizing::new([0_u8; KEY_LEN]);
    rand::fill(&mut id)
        .and_then(|()| rand::fill(secret.as_mut_slice()))
        .map_err(|_| Error::Random)?;
    Ok((id, secret))
}

/// A stored id or secret, which must have its length.
pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes
        .try_into()
        .map_err(|_| Error::Damaged("a data key is not of its length".to_owned()))
}

#[cfg(test)]
mod tests;

//! What the gateway must not forget: keys, and how much of their quota is spent. Every method is atomic, and durable when
//! it returns.

mod postgres;
mod rows;
mod sqlite;

#[cfg(test)]
mod contract;

use async_trait::async_trait;
use harombe_types::{Tenant, Timestamp};

use crate::Error;
use crate::domain::key::{Key, Revocation};
use crate::domain::quota::Counted;
use crate::domain::secret::KeyId;

pub(crate) use postgres::PostgresStore;
pub(crate) use sqlite::SqliteStore;

/// The port. A key is inactive until it is activated, and shown to nobody before that.
#[async_trait]
pub(crate) trait Store: Send + Sync + 'static {
    /// Whether there is no key, but for inactive ones that were created before `abandoned`.
    async fn is_empty(&self, abandoned: Timestamp) -> Result<bool, Error>;

    /// Keeps a key, inactive. Forgets inactive ones that were created before `abandoned`.
    async fn add(&self, key: &Key, abandoned: Timestamp) -> Result<(), Error>;

    /// As [`Store::add`], unless there are other keys: of several callers at once one gets to keep its own.
    async fn add_first(&self, key: &Key, abandoned: Timestamp) -> Result<First, Error>;

    async fn activate(&self, id: &KeyId) -> Result<(), Error>;

    /// Forgets a key that is inactive.
    async fn discard(&self, id: &KeyId) -> Result<(), Error>;

    async fn find(&self, id: &KeyId) -> Result<Option<Key>, Error>;

    /// Newest first.
    async fn list(&self, tenant: &Tenant, limit: u32, after: Option<&KeyId>) -> Result<Vec<Key>, Error>;

    /// Keeps the revocation unless there is one; returns the key with the one that is kept, `None` when the tenant has
    /// no such key.
    async fn revoke(
        &self,
        tenant: &Tenant,
        id: &KeyId,
        revocation: &Revocation,
    ) -> Result<Option<Key>, Error>;

    async fn revocation_recorded(&self, id: &KeyId) -> Result<(), Error>;

    /// Keys of all tenants that were revoked before `before`, the record of which is not known to be in the log.
    async fn unrecorded(&self, before: Timestamp, limit: u32) -> Result<Vec<Key>, Error>;

    /// Counts one more on that day unless `max` were counted; says whether it was. A day that is over does
    /// not come back: on an earlier one the last one's count goes on.
    async fn spend(&self, counted: &Counted, day: i64, max: u32) -> Result<bool, Error>;

    /// Counts one less, if that day is still the last.
    async fn give_back(&self, counted: &Counted, day: i64) -> Result<(), Error>;

    /// Finishes what waits.
    async fn close(&self);
}

/// What became of a key that was to be the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// It is kept, inactive: now, or since an earlier try.
    Kept,
    /// It is kept, and active.
    Active,
    /// There are others.
    Others,
}

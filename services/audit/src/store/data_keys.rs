//! The keys that open details, in a file of their own: one for each (tenant, subject), made when first needed. They lie
//! there in plain form, readable by this user only; whoever can read that file can read the details.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand;
use harombe_sql::{Connection, Database, Limits, Migrator, UnitError, Units};
use parking_lot::Mutex;
use sqlx::Row as _;
use zeroize::Zeroizing;

use crate::Error;
use crate::domain::{DataKey, KEY_LEN, KeyId, key_id_of};

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/keys");

/// Keys kept in memory; beyond this the cache starts anew.
const CACHED: usize = 10_000;

/// Every data key of the log.
pub(crate) struct DataKeys {
    database: Database,
    writer: Option<Units<()>>,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    by_owner: HashMap<(String, String), Arc<DataKey>>,
    by_id: HashMap<KeyId, Arc<DataKey>>,
}

impl DataKeys {
    /// Opens or creates the file.
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        let (database, writer) = Database::open(path, &MIGRATIONS).await?;
        let writer = Some(Units::start(writer, Limits::default()));
        Ok(Self {
            database,
            writer,
            cache: Mutex::default(),
        })
    }

    /// Opens the file for reading details only.
    pub(crate) async fn open_read_only(path: &Path) -> Result<Self, Error> {
        let database = Database::open_read_only(path).await?;
        Ok(Self {
            database,
            writer: None,
            cache: Mutex::default(),
        })
    }

    /// The key of an owner. A new one is durable before it is returned, so that nothing is ever sealed with a key that a
    /// crash takes away.
    pub(crate) async fn of(&self, tenant: &str, subject: &str) -> Result<Arc<DataKey>, Error> {
        let owner = (tenant.to_owned(), subject.to_owned());
        if let Some(key) = self.cache.lock().by_owner.get(&owner) {
            return Ok(Arc::clone(key));
        }
        let Some(writer) = &self.writer else {
            return Err(Error::Store(harombe_sql::Error::Closed));
        };
        let mut id: KeyId = [0; 16];
        let mut secret = Zeroizing::new([0_u8; KEY_LEN]);
        rand::fill(&mut id)
            .and_then(|()| rand::fill(secret.as_mut_slice()))
            .map_err(|_| Error::Random)?;
        let row = owner.clone();
        let made = writer.run::<_, std::convert::Infallible, _>(&(), move |tx| {
            Box::pin(async move { Ok(insert(tx, &row, id, &secret).await?) })
        });
        let (id, secret) = made.await.map_err(|error| match error {
            UnitError::Refused(never) => match never {},
            UnitError::Store(error) => Error::Store(error),
        })?;
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
        self.database.close().await;
        if let Some(writer) = &self.writer {
            writer.shutdown().await;
        }
    }

    async fn by_id(&self, id: KeyId) -> Result<Option<Arc<DataKey>>, Error> {
        if let Some(key) = self.cache.lock().by_id.get(&id) {
            return Ok(Some(Arc::clone(key)));
        }
        let secret: Option<Vec<u8>> = sqlx::query_scalar("SELECT key FROM data_keys WHERE id = ?")
            .bind(id.to_vec())
            .fetch_optional(self.database.readers())
            .await
            .map_err(|error| self.database.error(error))?;
        let Some(secret) = secret.map(Zeroizing::new) else {
            return Ok(None);
        };
        let key = Arc::new(DataKey::new(id, &fixed(&secret)?)?);
        let mut cache = self.cache.lock();
        if cache.by_id.len() >= CACHED {
            *cache = Cache::default();
        }
        cache.by_id.insert(id, Arc::clone(&key));
        Ok(Some(key))
    }
}

/// Adds a key for an owner that has none, and returns the one that is there then.
async fn insert(
    tx: &mut Connection,
    owner: &(String, String),
    id: KeyId,
    secret: &Zeroizing<[u8; KEY_LEN]>,
) -> Result<(KeyId, Zeroizing<[u8; KEY_LEN]>), sqlx::Error> {
    sqlx::query("INSERT INTO data_keys (id, tenant, subject, key) VALUES (?, ?, ?, ?) ON CONFLICT (tenant, subject) DO NOTHING")
        .bind(id.to_vec())
        .bind(owner.0.clone())
        .bind(owner.1.clone())
        .bind(secret.to_vec())
        .execute(&mut *tx)
        .await?;
    let row = sqlx::query("SELECT id, key FROM data_keys WHERE tenant = ? AND subject = ?")
        .bind(owner.0.clone())
        .bind(owner.1.clone())
        .fetch_one(&mut *tx)
        .await?;
    let id: Vec<u8> = row.try_get(0)?;
    let secret = Zeroizing::new(row.try_get::<Vec<u8>, _>(1)?);
    let malformed = |_| sqlx::Error::Decode("a data key is not of its length".into());
    Ok((
        id.as_slice().try_into().map_err(malformed)?,
        Zeroizing::new(secret.as_slice().try_into().map_err(malformed)?),
    ))
}

fn fixed(secret: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>, Error> {
    secret
        .try_into()
        .map(Zeroizing::new)
        .map_err(|_| Error::Damaged("a data key is not 32 bytes".to_owned()))
}

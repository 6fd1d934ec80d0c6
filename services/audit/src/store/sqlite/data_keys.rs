//! Data keys in a file of their own. They lie there in plain form, readable by this user only; whoever can read that file
//! can read the details.

use std::path::Path;

use async_trait::async_trait;
use harombe_sql::{Connection, Database, Limits, Migrator, UnitError, Units};
use sqlx::Row as _;
use zeroize::Zeroizing;

use crate::Error;
use crate::domain::KeyId;
use crate::store::DataKeys;
use crate::store::data_keys::{KeyStore, Owner, Secret, fixed};

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/sqlite/keys");

/// The file of data keys.
pub(crate) struct SqliteKeys {
    database: Database,
    writer: Option<Units<()>>,
}

impl SqliteKeys {
    /// Opens or creates the file.
    pub(crate) async fn open(path: &Path) -> Result<DataKeys, Error> {
        let (database, writer) = Database::open(path, &MIGRATIONS).await?;
        let writer = Some(Units::start(writer, Limits::default()));
        Ok(DataKeys::new(Self { database, writer }))
    }

    /// Opens the file for reading details only.
    pub(crate) async fn open_read_only(path: &Path) -> Result<DataKeys, Error> {
        let database = Database::open_read_only(path).await?;
        Ok(DataKeys::new(Self {
            database,
            writer: None,
        }))
    }
}

#[async_trait]
impl KeyStore for SqliteKeys {
    async fn of(&self, owner: &Owner, id: KeyId, secret: Secret) -> Result<(KeyId, Secret), Error> {
        let Some(writer) = &self.writer else {
            return Err(Error::Store(harombe_sql::Error::Closed));
        };
        let owner = owner.clone();
        let made = writer.run::<_, std::convert::Infallible, _>(&(), move |tx| {
            Box::pin(async move { Ok(insert(tx, owner, id, secret).await?) })
        });
        let (id, secret) = made.await.map_err(|error| match error {
            UnitError::Refused(never) => match never {},
            UnitError::Store(error) => Error::Store(error),
        })?;
        Ok((fixed(&id)?, Zeroizing::new(fixed(&secret)?)))
    }

    async fn by_id(&self, id: KeyId) -> Result<Option<Secret>, Error> {
        let secret: Option<Vec<u8>> = sqlx::query_scalar("SELECT key FROM data_keys WHERE id = ?")
            .bind(id.to_vec())
            .fetch_optional(self.database.readers())
            .await
            .map_err(|error| self.database.error(error))?;
        let secret = secret.map(Zeroizing::new);
        secret
            .map(|secret| fixed(&secret).map(Zeroizing::new))
            .transpose()
    }

    async fn close(&self) {
        self.database.close().await;
        if let Some(writer) = &self.writer {
            writer.shutdown().await;
        }
    }
}

/// Adds a key for an owner that has none, and returns the one that is there then.
async fn insert(
    tx: &mut Connection,
    owner: Owner,
    id: KeyId,
    secret: Secret,
) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), sqlx::Error> {
    sqlx::query("INSERT INTO data_keys (id, tenant, subject, key) VALUES (?, ?, ?, ?) ON CONFLICT (tenant, subject) DO NOTHING")
        .bind(id.to_vec())
        .bind(owner.tenant.clone())
        .bind(owner.subject.clone())
        .bind(secret.to_vec())
        .execute(&mut *tx)
        .await?;
    let row = sqlx::query("SELECT id, key FROM data_keys WHERE tenant = ? AND subject = ?")
        .bind(owner.tenant)
        .bind(owner.subject)
        .fetch_one(&mut *tx)
        .await?;
    Ok((row.try_get(0)?, Zeroizing::new(row.try_get(1)?)))
}

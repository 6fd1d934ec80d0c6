//! Data keys in a schema of their own, each wrapped with a key from a file: who can read the database, a backup of it or
//! its write-ahead log can open no details.

use std::path::Path;

use async_trait::async_trait;
use harombe_sql::{Migrator, Postgres, PostgresConfig};
use sqlx::PgConnection;
use zeroize::Zeroizing;

use crate::Error;
use crate::domain::{KeyId, WrappingKey};
use crate::store::data_keys::{KeyStore, Owner, Secret, fixed};
use crate::store::{DataKeys, signer};

const SCHEMA: &str = "harombe_audit_keys";
/// New owners are few, and known ones are in memory.
const CONNECTIONS: u32 = 2;

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/postgres/keys");

/// The schema of data keys.
pub(crate) struct PostgresKeys {
    database: Postgres,
    key: WrappingKey,
}

impl PostgresKeys {
    /// Opens the schema, made when absent, with the wrapping key at `path`, made for a log that has none; refuses a key
    /// that is not the one that wraps.
    pub(crate) async fn open(config: &PostgresConfig, path: &Path) -> Result<DataKeys, Error> {
        let config = PostgresConfig {
            connections: config.connections.min(CONNECTIONS),
            ..config.clone()
        };
        let database = Postgres::open(&config, SCHEMA, &MIGRATIONS).await?;
        let is_new = registered(&database).await?.is_none();
        let key = load(path, is_new)?;
        if is_new {
            let id = key.id();
            let register = database.idempotent(move |db| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO wrapping (id) VALUES ($1) ON CONFLICT DO NOTHING")
                        .bind(id.to_vec())
                        .execute(db)
                        .await?;
                    Ok(())
                })
            });
            register.await?;
        }
        Self::checked(database, key, path).await
    }

    /// Opens the schema for reading details only.
    pub(crate) async fn open_read_only(config: &PostgresConfig, path: &Path) -> Result<DataKeys, Error> {
        let database = Postgres::open_read_only(config, SCHEMA).await?;
        let key = load(path, false)?;
        Self::checked(database, key, path).await
    }

    async fn checked(database: Postgres, key: WrappingKey, path: &Path) -> Result<DataKeys, Error> {
        if registered(&database).await?.as_deref() != Some(&key.id()[..]) {
            return Err(Error::NotTheLogs {
                path: path.to_owned(),
            });
        }
        Ok(DataKeys::new(Self { database, key }))
    }

    fn opened(&self, id: KeyId, owner: (&str, &str), wrapped: &[u8]) -> Result<Secret, Error> {
        let opened = self.key.unwrap(id, owner, wrapped);
        opened.ok_or_else(|| Error::Damaged("a wrapped data key is not what was stored".to_owned()))
    }
}

#[async_trait]
impl KeyStore for PostgresKeys {
    async fn of(&self, owner: &Owner, id: KeyId, secret: Secret) -> Result<(KeyId, Secret), Error> {
        let names = (owner.tenant.as_str(), owner.subject.as_str());
        let wrapped = self.key.wrap(id, names, &secret)?;
        let stored = self.database.idempotent(move |db| {
            let (owner, wrapped) = (owner.clone(), wrapped.clone());
            Box::pin(async move { Ok(insert(db, owner, id, wrapped).await?) })
        });
        let (id, wrapped) = stored.await?;
        let id = fixed(&id)?;
        Ok((id, self.opened(id, names, &wrapped)?))
    }

    async fn by_id(&self, id: KeyId) -> Result<Option<Secret>, Error> {
        let read = self.database.idempotent(move |db| {
            Box::pin(async move {
                let row: Option<(String, String, Vec<u8>)> =
                    sqlx::query_as("SELECT tenant, subject, wrapped FROM data_keys WHERE id = $1")
                        .bind(id.to_vec())
                        .fetch_optional(db)
                        .await?;
                Ok(row)
            })
        });
        let row = read.await?;
        row.map(|(tenant, subject, wrapped)| self.opened(id, (&tenant, &subject), &wrapped))
            .transpose()
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

/// Adds a key for an owner that has none, and returns the one that is there then.
async fn insert(
    db: &mut PgConnection,
    owner: Owner,
    id: KeyId,
    wrapped: Vec<u8>,
) -> Result<(Vec<u8>, Vec<u8>), sqlx::Error> {
    sqlx::query("INSERT INTO data_keys (id, tenant, subject, wrapped) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, subject) DO NOTHING")
        .bind(id.to_vec())
        .bind(owner.tenant.clone())
        .bind(owner.subject.clone())
        .bind(wrapped)
        .execute(&mut *db)
        .await?;
    sqlx::query_as("SELECT id, wrapped FROM data_keys WHERE tenant = $1 AND subject = $2")
        .bind(owner.tenant)
        .bind(owner.subject)
        .fetch_one(db)
        .await
}

/// The id of the key that wraps.
async fn registered(database: &Postgres) -> Result<Option<Vec<u8>>, Error> {
    let read = database.idempotent(|db| {
        Box::pin(async move {
            Ok(sqlx::query_scalar("SELECT id FROM wrapping")
                .fetch_optional(db)
                .await?)
        })
    });
    Ok(read.await?)
}

fn load(path: &Path, is_new: bool) -> Result<WrappingKey, Error> {
    let text: Zeroizing<String> = signer::secret_file(path, is_new, WrappingKey::generate)?;
    WrappingKey::parse(&text).ok_or_else(|| Error::NoWrappingKey {
        path: path.to_owned(),
    })
}

//! Data keys in a schema of their own, each wrapped with a key from a file: who can read the database, a backup of it or
//! its write-ahead log can open no details.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use harombe_sql::{Migrator, Postgres, PostgresConfig};
use sqlx::PgConnection;
use zeroize::Zeroizing;

use super::PostgresStore;
use super::writer::Queue;
use crate::Error;
use crate::domain::{KeyId, WrappingKey};
use crate::store::data_keys::{KeyStore, Owner, Secret, fixed, fresh};
use crate::store::{DataKeys, Term, signer};

const SCHEMA: &str = "harombe_audit_keys";
/// New owners are few, and known ones are in memory.
const CONNECTIONS: u32 = 2;

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/postgres/keys");

/// The schema of data keys.
pub(crate) struct PostgresKeys {
    database: Postgres,
    key: WrappingKey,
    /// Who destroys keys; none where details are only read.
    writer: Option<Arc<Queue>>,
}

impl PostgresKeys {
    /// Opens the schema, made when absent, with the wrapping key at `path`, made for a log that has none; refuses a key
    /// that is not the one that wraps.
    pub(crate) async fn open(config: &PostgresConfig, path: &Path) -> Result<Self, Error> {
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
        Ok(DataKeys::new(Self::checked(database, key, path).await?))
    }

    /// The keys, destroyed by the writer of `log`.
    pub(crate) fn destroyed_by(self, log: &PostgresStore) -> DataKeys {
        DataKeys::new(Self {
            writer: Some(Arc::clone(&log.queue)),
            ..self
        })
    }

    async fn checked(database: Postgres, key: WrappingKey, path: &Path) -> Result<Self, Error> {
        if registered(&database).await?.as_deref() != Some(&key.id()[..]) {
            return Err(Error::NotTheLogs {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            database,
            key,
            writer: None,
        })
    }

    /// A new key for `owner`: its id, and it wrapped.
    fn new_key(&self, owner: &Owner) -> Result<(KeyId, Vec<u8>), Error> {
        let (id, secret) = fresh()?;
        let wrapped = self.key.wrap(id, (&owner.tenant, &owner.subject), &secret)?;
        Ok((id, wrapped))
    }

    fn opened(&self, id: KeyId, owner: (&str, &str), wrapped: &[u8]) -> Result<Secret, Error> {
        let opened = self.key.unwrap(id, owner, wrapped);
        opened.ok_or_else(|| Error::Damaged("a wrapped data key is not what was stored".to_owned()))
    }
}

#[async_trait]
impl KeyStore for PostgresKeys {
    async fn of(&self, owner: &Owner) -> Result<(KeyId, Secret), Error> {
        loop {
            let find = self.database.idempotent(|db| {
                // A new one for each attempt: what an attempt stored may have been sealed with, and destroyed, already.
                let (owner, new) = (owner.clone(), self.new_key(owner));
                Box::pin(async move {
                    let (id, wrapped) = new.map_err(Error::into_store)?;
                    Ok(find_or_insert(db, owner, id, wrapped).await?)
                })
            });
            if let Some((id, wrapped)) = find.await? {
                let id = fixed(&id)?;
                return Ok((id, self.opened(id, (&owner.tenant, &owner.subject), &wrapped)?));
            }
        }
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

    async fn has(&self, owner: &Owner) -> Result<bool, Error> {
        let read = self.database.idempotent(move |db| {
            let owner = owner.clone();
            Box::pin(async move {
                let there = "SELECT EXISTS (SELECT FROM data_keys WHERE tenant = $1 AND subject = $2)";
                let has = sqlx::query_scalar(there).bind(owner.tenant).bind(owner.subject);
                Ok(has.fetch_one(db).await?)
            })
        });
        Ok(read.await?)
    }

    async fn destroy(&self, owner: &Owner, term: Term) -> Result<(), Error> {
        let writer = self.writer.as_ref().ok_or(Error::NotWriter)?;
        writer.destroy(owner.clone(), term).await
    }

    /// What the server keeps of a row that is gone is the server's.
    async fn overwrite(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

/// Deletes a key over a connection of another schema of the same database.
pub(super) async fn destroy(db: &mut PgConnection, owner: &Owner) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM harombe_audit_keys.data_keys WHERE tenant = $1 AND subject = $2")
        .bind(owner.tenant.clone())
        .bind(owner.subject.clone())
        .execute(db)
        .await?;
    Ok(())
}

/// The key of an owner, and this one when it has none; `None` when it had one that is gone meanwhile.
async fn find_or_insert(
    db: &mut PgConnection,
    owner: Owner,
    id: KeyId,
    wrapped: Vec<u8>,
) -> Result<Option<(Vec<u8>, Vec<u8>)>, sqlx::Error> {
    let inserted = sqlx::query("INSERT INTO data_keys (id, tenant, subject, wrapped) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, subject) DO NOTHING")
        .bind(id.to_vec())
        .bind(owner.tenant.clone())
        .bind(owner.subject.clone())
        .bind(wrapped.clone())
        .execute(&mut *db)
        .await?;
    if inserted.rows_affected() == 1 {
        return Ok(Some((id.to_vec(), wrapped)));
    }
    sqlx::query_as("SELECT id, wrapped FROM data_keys WHERE tenant = $1 AND subject = $2")
        .bind(owner.tenant)
        .bind(owner.subject)
        .fetch_optional(db)
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

//! The store on one SQLite file, with the shared group-commit writer.

use std::path::Path;

use async_trait::async_trait;
use harombe_sql::{Connection, Database, Limits, Migrator, UnitError, UnitFuture, Units};
use harombe_types::{Tenant, Timestamp};

use super::{First, Store, rows};
use crate::Error;
use crate::domain::key::{Key, Revocation};
use crate::domain::quota::Counted;
use crate::domain::secret::KeyId;

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/sqlite");

/// SQLite adapter.
pub(crate) struct SqliteStore {
    database: Database,
    units: Units<()>,
}

impl SqliteStore {
    /// Opens or creates the file.
    pub(crate) async fn open(path: &Path) -> Result<Self, harombe_sql::Error> {
        let (database, writer) = Database::open(path, &MIGRATIONS).await?;
        Ok(Self {
            database,
            units: Units::start(writer, Limits::default()),
        })
    }

    async fn write<T, F>(&self, unit: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, T, Error> + Send + 'static,
    {
        self.units.run(&(), unit).await.map_err(|error| match error {
            UnitError::Refused(error) => error,
            UnitError::Store(error) => Error::Store(error),
        })
    }

    async fn many(
        &self,
        query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<Vec<Key>, Error> {
        let found = query.fetch_all(self.database.readers()).await;
        let found = found.map_err(|error| self.database.error(error))?;
        found.iter().map(rows::key).collect()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn is_empty(&self, abandoned: Timestamp) -> Result<bool, Error> {
        let query = "SELECT NOT EXISTS (SELECT 1 FROM keys WHERE active = 1 OR created_at >= ?)";
        let found = sqlx::query_scalar(query)
            .bind(abandoned.as_millis())
            .fetch_one(self.database.readers())
            .await;
        Ok(found.map_err(|error| self.database.error(error))?)
    }

    async fn add(&self, key: &Key, abandoned: Timestamp) -> Result<(), Error> {
        let key = key.clone();
        self.write(move |tx| {
            Box::pin(async move {
                forget_abandoned(tx, abandoned).await?;
                Ok(insert(tx, &key).await?)
            })
        })
        .await
    }

    async fn add_first(&self, key: &Key, abandoned: Timestamp) -> Result<First, Error> {
        let key = key.clone();
        self.write(move |tx| {
            Box::pin(async move {
                forget_abandoned(tx, abandoned).await?;
                let own: Option<bool> = sqlx::query_scalar(
                    "SELECT active FROM keys WHERE key_id = ? AND digest = ? AND revoked_at IS NULL",
                )
                .bind(key.id.as_str())
                .bind(key.digest.as_bytes().as_slice())
                .fetch_optional(&mut *tx)
                .await?;
                match own {
                    Some(true) => return Ok(First::Active),
                    Some(false) => return Ok(First::Kept),
                    None => {}
                }
                let others: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM keys)")
                    .fetch_one(&mut *tx)
                    .await?;
                if others {
                    return Ok(First::Others);
                }
                insert(tx, &key).await?;
                Ok(First::Kept)
            })
        })
        .await
    }

    async fn activate(&self, id: &KeyId) -> Result<(), Error> {
        let id = id.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let changed = sqlx::query("UPDATE keys SET active = 1 WHERE key_id = ?")
                    .bind(id.as_str())
                    .execute(tx)
                    .await?
                    .rows_affected();
                rows::found(changed)
            })
        })
        .await
    }

    async fn discard(&self, id: &KeyId) -> Result<(), Error> {
        let id = id.clone();
        self.write(move |tx| {
            Box::pin(async move {
                sqlx::query("DELETE FROM keys WHERE key_id = ? AND active = 0")
                    .bind(id.as_str())
                    .execute(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Key>, Error> {
        let row = sqlx::query("SELECT * FROM keys WHERE key_id = ? AND active = 1")
            .bind(id.as_str())
            .fetch_optional(self.database.readers())
            .await
            .map_err(|error| self.database.error(error))?;
        row.as_ref().map(rows::key).transpose()
    }

    async fn list(&self, tenant: &Tenant, limit: u32, after: Option<&KeyId>) -> Result<Vec<Key>, Error> {
        let query = sqlx::query(
            "SELECT * FROM keys WHERE tenant = ?1 AND active = 1 AND (?2 IS NULL OR (created_at, key_id) < \
             (SELECT created_at, key_id FROM keys WHERE key_id = ?2 AND tenant = ?1)) \
             ORDER BY created_at DESC, key_id DESC LIMIT ?3",
        );
        let query = query
            .bind(tenant.as_str())
            .bind(after.map(KeyId::as_str))
            .bind(limit);
        self.many(query).await
    }

    async fn revoke(
        &self,
        tenant: &Tenant,
        id: &KeyId,
        revocation: &Revocation,
    ) -> Result<Option<Key>, Error> {
        let (tenant, id, revocation) = (tenant.clone(), id.clone(), revocation.clone());
        self.write(move |tx| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE keys SET revoked_at = ?, revoked_by = ?, revocation_event = ?, revocation_recorded = 0 \
                     WHERE key_id = ? AND tenant = ? AND active = 1 AND revoked_at IS NULL",
                )
                .bind(revocation.at.as_millis())
                .bind(revocation.by.to_string())
                .bind(revocation.event.to_string())
                .bind(id.as_str())
                .bind(tenant.as_str())
                .execute(&mut *tx)
                .await?;
                let row = sqlx::query("SELECT * FROM keys WHERE key_id = ? AND tenant = ? AND active = 1")
                    .bind(id.as_str())
                    .bind(tenant.as_str())
                    .fetch_optional(tx)
                    .await?;
                row.as_ref().map(rows::key).transpose().map_err(UnitError::Refused)
            })
        })
        .await
    }

    async fn revocation_recorded(&self, id: &KeyId) -> Result<(), Error> {
        let id = id.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let changed = sqlx::query(
                    "UPDATE keys SET revocation_recorded = 1 WHERE key_id = ? AND revoked_at IS NOT NULL",
                )
                .bind(id.as_str())
                .execute(tx)
                .await?
                .rows_affected();
                rows::found(changed)
            })
        })
        .await
    }

    async fn unrecorded(&self, before: Timestamp, limit: u32) -> Result<Vec<Key>, Error> {
        let query = sqlx::query(
            "SELECT * FROM keys WHERE revoked_at IS NOT NULL AND revocation_recorded = 0 AND revoked_at < ? \
             ORDER BY revoked_at LIMIT ?",
        );
        self.many(query.bind(before.as_millis()).bind(limit)).await
    }

    async fn spend(&self, counted: &Counted, day: i64, max: u32) -> Result<bool, Error> {
        let name = counted.name();
        self.write(move |tx| {
            Box::pin(async move {
                let counted = sqlx::query(
                    "INSERT INTO usage (key_id, day, messages) VALUES (?1, ?2, 1) \
                     ON CONFLICT (key_id) DO UPDATE SET \
                     messages = CASE WHEN usage.day < excluded.day THEN 1 ELSE usage.messages + 1 END, \
                     day = max(usage.day, excluded.day) \
                     WHERE usage.day < excluded.day OR usage.messages < ?3",
                )
                .bind(name)
                .bind(day)
                .bind(max)
                .execute(tx)
                .await?;
                Ok(counted.rows_affected() == 1)
            })
        })
        .await
    }

    async fn give_back(&self, counted: &Counted, day: i64) -> Result<(), Error> {
        let name = counted.name();
        self.write(move |tx| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE usage SET messages = messages - 1 WHERE key_id = ? AND day = ? AND messages > 0",
                )
                .bind(name)
                .bind(day)
                .execute(tx)
                .await?;
                Ok(())
            })
        })
        .await
    }

    async fn close(&self) {
        // The writer last: SQLite folds its write-ahead log into the file when the last connection closes.
        self.database.close().await;
        self.units.shutdown().await;
    }
}

async fn forget_abandoned(tx: &mut Connection, abandoned: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM keys WHERE active = 0 AND created_at < ?")
        .bind(abandoned.as_millis())
        .execute(tx)
        .await?;
    Ok(())
}

async fn insert(tx: &mut Connection, key: &Key) -> Result<(), sqlx::Error> {
    let bearer = &key.bearer;
    sqlx::query(
        "INSERT INTO keys (key_id, digest, tenant, name, subject, roles, agents, allow_self, requests_per_second, burst, \
         streams, messages_per_day, created_at, created_by, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(key.id.as_str())
    .bind(key.digest.as_bytes().as_slice())
    .bind(bearer.tenant.as_str())
    .bind(&bearer.name)
    .bind(bearer.subject.as_str())
    .bind(rows::joined(&bearer.roles))
    .bind(rows::joined(&bearer.agents))
    .bind(bearer.allow_self)
    .bind(bearer.limits.requests_per_second)
    .bind(bearer.limits.burst)
    .bind(bearer.limits.streams)
    .bind(bearer.limits.messages_per_day)
    .bind(key.created_at.as_millis())
    .bind(&key.created_by)
    .bind(bearer.expires_at.map(Timestamp::as_millis))
    .execute(tx)
    .await?;
    Ok(())
}

//! The store in a schema of a Postgres server, which several gateways share.

use std::sync::Arc;

use async_trait::async_trait;
use harombe_sql::pg::PgConnection;
use harombe_sql::{Migrator, Postgres, PostgresConfig, UnitError, UnitFuture};
use harombe_types::{Tenant, Timestamp};

use super::{First, Store, rows};
use crate::Error;
use crate::domain::key::{Key, Revocation};
use crate::domain::quota::Counted;
use crate::domain::secret::KeyId;

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/postgres");
const SCHEMA: &str = "harombe_gateway";

/// Postgres adapter.
pub(crate) struct PostgresStore {
    postgres: Postgres,
}

impl PostgresStore {
    /// Makes the schema where it is absent.
    pub(crate) async fn open(config: &PostgresConfig) -> Result<Self, harombe_sql::Error> {
        let postgres = Postgres::open(config, SCHEMA, &MIGRATIONS).await?;
        Ok(Self { postgres })
    }

    async fn write<T, F>(&self, unit: F) -> Result<T, Error>
    where
        T: Send,
        F: for<'c> Fn(&'c mut PgConnection) -> UnitFuture<'c, T, Error> + Send + Sync,
    {
        let done = self.postgres.transaction(unit).await;
        done.map_err(|error| match error {
            UnitError::Refused(error) => error,
            UnitError::Store(error) => Error::Store(error),
        })
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn is_empty(&self, abandoned: Timestamp) -> Result<bool, Error> {
        let found = self.postgres.idempotent(move |connection| {
            Box::pin(async move {
                let query = "SELECT NOT EXISTS (SELECT FROM keys WHERE active OR created_at >= $1)";
                let found = sqlx::query_scalar(query).bind(abandoned.as_millis());
                Ok(found.fetch_one(connection).await?)
            })
        });
        Ok(found.await?)
    }

    async fn add(&self, key: &Key, abandoned: Timestamp) -> Result<(), Error> {
        let key = Arc::new(key.clone());
        self.write(move |tx| {
            let key = Arc::clone(&key);
            Box::pin(async move {
                forget_abandoned(tx, abandoned).await?;
                Ok(insert(tx, &key).await?)
            })
        })
        .await
    }

    async fn add_first(&self, key: &Key, abandoned: Timestamp) -> Result<First, Error> {
        let key = Arc::new(key.clone());
        self.write(move |tx| {
            let key = Arc::clone(&key);
            Box::pin(async move {
                // Nobody adds a key between the look and the act.
                sqlx::query("LOCK TABLE keys IN SHARE ROW EXCLUSIVE MODE")
                    .execute(&mut *tx)
                    .await?;
                forget_abandoned(tx, abandoned).await?;
                let own: Option<bool> = sqlx::query_scalar(
                    "SELECT active FROM keys WHERE key_id = $1 AND digest = $2 AND revoked_at IS NULL",
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
                let others: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM keys)")
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
            let id = id.clone();
            Box::pin(async move {
                let changed = sqlx::query("UPDATE keys SET active = TRUE WHERE key_id = $1")
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
            let id = id.clone();
            Box::pin(async move {
                sqlx::query("DELETE FROM keys WHERE key_id = $1 AND NOT active")
                    .bind(id.as_str())
                    .execute(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn find(&self, id: &KeyId) -> Result<Option<Key>, Error> {
        let id = id.clone();
        let row = self.postgres.idempotent(move |connection| {
            let id = id.clone();
            Box::pin(async move {
                let query = sqlx::query("SELECT * FROM keys WHERE key_id = $1 AND active");
                Ok(query.bind(id.as_str()).fetch_optional(connection).await?)
            })
        });
        row.await?.as_ref().map(rows::key).transpose()
    }

    async fn list(&self, tenant: &Tenant, limit: u32, after: Option<&KeyId>) -> Result<Vec<Key>, Error> {
        let (tenant, after) = (tenant.to_string(), after.map(ToString::to_string));
        let found = self.postgres.idempotent(move |connection| {
            let (tenant, after) = (tenant.clone(), after.clone());
            Box::pin(async move {
                let query = sqlx::query(
                    "SELECT * FROM keys WHERE tenant = $1 AND active AND ($2::text IS NULL OR (created_at, key_id) < \
                     (SELECT created_at, key_id FROM keys WHERE key_id = $2 AND tenant = $1)) \
                     ORDER BY created_at DESC, key_id DESC LIMIT $3",
                );
                let query = query
                    .bind(tenant)
                    .bind(after)
                    .bind(i64::from(limit));
                Ok(query.fetch_all(connection).await?)
            })
        });
        found.await?.iter().map(rows::key).collect()
    }

    async fn revoke(
        &self,
        tenant: &Tenant,
        id: &KeyId,
        revocation: &Revocation,
    ) -> Result<Option<Key>, Error> {
        let (tenant, id, revocation) = (tenant.clone(), id.clone(), revocation.clone());
        self.write(move |tx| {
            let (tenant, id, revocation) = (tenant.clone(), id.clone(), revocation.clone());
            Box::pin(async move {
                sqlx::query(
                    "UPDATE keys SET revoked_at = $1, revoked_by = $2, revocation_event = $3, \
                     revocation_recorded = FALSE \
                     WHERE key_id = $4 AND tenant = $5 AND active AND revoked_at IS NULL",
                )
                .bind(revocation.at.as_millis())
                .bind(revocation.by.to_string())
                .bind(revocation.event.to_string())
                .bind(id.as_str())
                .bind(tenant.as_str())
                .execute(&mut *tx)
                .await?;
                let row = sqlx::query("SELECT * FROM keys WHERE key_id = $1 AND tenant = $2 AND active")
                    .bind(id.as_str())
                    .bind(tenant.as_str())
                    .fetch_optional(tx)
                    .await?;
                row.as_ref()
                    .map(rows::key)
                    .transpose()
                    .map_err(UnitError::Refused)
            })
        })
        .await
    }

    async fn revocation_recorded(&self, id: &KeyId) -> Result<(), Error> {
        let id = id.clone();
        self.write(move |tx| {
            let id = id.clone();
            Box::pin(async move {
                let changed = sqlx::query(
                    "UPDATE keys SET revocation_recorded = TRUE WHERE key_id = $1 AND revoked_at IS NOT NULL",
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
        let found = self.postgres.idempotent(move |connection| {
            Box::pin(async move {
                let query = sqlx::query(
                    "SELECT * FROM keys WHERE revoked_at IS NOT NULL AND NOT revocation_recorded AND revoked_at < $1 \
                     ORDER BY revoked_at LIMIT $2",
                );
                let query = query.bind(before.as_millis()).bind(i64::from(limit));
                Ok(query.fetch_all(connection).await?)
            })
        });
        found.await?.iter().map(rows::key).collect()
    }

    async fn spend(&self, counted: &Counted, day: i64, max: u32) -> Result<bool, Error> {
        let name = counted.name();
        self.write(move |tx| {
            let name = name.clone();
            Box::pin(async move {
                let counted = sqlx::query(
                    "INSERT INTO usage (key_id, day, messages) VALUES ($1, $2, 1) \
                     ON CONFLICT (key_id) DO UPDATE SET \
                     messages = CASE WHEN usage.day < excluded.day THEN 1 ELSE usage.messages + 1 END, \
                     day = greatest(usage.day, excluded.day) \
                     WHERE usage.day < excluded.day OR usage.messages < $3",
                )
                .bind(name)
                .bind(day)
                .bind(i64::from(max))
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
            let name = name.clone();
            Box::pin(async move {
                sqlx::query(
                    "UPDATE usage SET messages = messages - 1 WHERE key_id = $1 AND day = $2 AND messages > 0",
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
        self.postgres.close().await;
    }
}

async fn forget_abandoned(tx: &mut PgConnection, abandoned: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM keys WHERE NOT active AND created_at < $1")
        .bind(abandoned.as_millis())
        .execute(tx)
        .await?;
    Ok(())
}

async fn insert(tx: &mut PgConnection, key: &Key) -> Result<(), sqlx::Error> {
    let bearer = &key.bearer;
    sqlx::query(
        "INSERT INTO keys (key_id, digest, tenant, name, subject, roles, agents, allow_self, requests_per_second, burst, \
         streams, messages_per_day, created_at, created_by, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(key.id.as_str())
    .bind(key.digest.as_bytes().as_slice())
    .bind(bearer.tenant.as_str())
    .bind(&bearer.name)
    .bind(bearer.subject.as_str())
    .bind(rows::joined(&bearer.roles))
    .bind(rows::joined(&bearer.agents))
    .bind(bearer.allow_self)
    .bind(i64::from(bearer.limits.requests_per_second))
    .bind(i64::from(bearer.limits.burst))
    .bind(i64::from(bearer.limits.streams))
    .bind(i64::from(bearer.limits.messages_per_day))
    .bind(key.created_at.as_millis())
    .bind(&key.created_by)
    .bind(bearer.expires_at.map(Timestamp::as_millis))
    .execute(tx)
    .await?;
    Ok(())
}

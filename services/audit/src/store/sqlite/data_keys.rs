//! Data keys in a file of their own. They lie there in plain form, readable by this user only; whoever can read that file
//! can read the details. What is destroyed there is overwritten.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use harombe_sql::{Connection, Database, Limits, Migrator, UnitError, UnitFuture, Units, WriteAheadLog};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection};
use zeroize::Zeroizing;

use crate::Error;
use crate::domain::KeyId;
use crate::store::data_keys::{KeyStore, Owner, Secret, fixed, fresh};
use crate::store::{DataKeys, Term};

/// How long those who use the file are waited for before it is rewritten, and before its write-ahead log is emptied.
const PATIENCE: Duration = Duration::from_secs(2);

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/sqlite/keys");

/// The file of data keys.
pub(crate) struct SqliteKeys {
    database: Database,
    writer: Option<Units<()>>,
}

impl SqliteKeys {
    /// Opens or creates the file.
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        let (database, writer) = Database::open(path, &MIGRATIONS).await?;
        let writer = Some(Units::start(writer, Limits::default()));
        Ok(Self { database, writer })
    }

    /// Opens the file for reading details only.
    pub(crate) async fn open_read_only(path: &Path) -> Result<DataKeys, Error> {
        let database = Database::open_read_only(path).await?;
        Ok(DataKeys::new(Self {
            database,
            writer: None,
        }))
    }

    async fn write<T, F>(&self, unit: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, T, std::convert::Infallible> + Send + 'static,
    {
        let Some(writer) = &self.writer else {
            return Err(Error::Store(harombe_sql::Error::Closed));
        };
        writer.run(&(), unit).await.map_err(|error| match error {
            UnitError::Refused(never) => match never {},
            UnitError::Store(error) => Error::Store(error),
        })
    }
}

#[async_trait]
impl KeyStore for SqliteKeys {
    async fn of(&self, owner: &Owner) -> Result<(KeyId, Secret), Error> {
        let owner = owner.clone();
        let (id, secret) = fresh()?;
        let made = self.write(move |tx| Box::pin(async move { Ok(insert(tx, owner, id, secret).await?) }));
        let (id, secret) = made.await?;
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

    async fn has(&self, owner: &Owner) -> Result<bool, Error> {
        let has =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM data_keys WHERE tenant = ? AND subject = ?)")
                .bind(owner.tenant.clone())
                .bind(owner.subject.clone())
                .fetch_one(self.database.readers())
                .await;
        Ok(has.map_err(|error| self.database.error(error))?)
    }

    /// The file has one process that writes, and so one term.
    async fn destroy(&self, owner: &Owner, _term: Term) -> Result<(), Error> {
        let owner = owner.clone();
        self.write(move |tx| Box::pin(async move { Ok(delete(tx, owner).await?) }))
            .await
    }

    /// Freed room is overwritten in any case (`secure_delete`). What remains are copies from before: in the write-ahead
    /// log, and where SQLite moved rows from page to page.
    async fn overwrite(&self) -> Result<(), Error> {
        let failed = |error| Error::Store(self.database.error(error));
        let mut connection = connect(self.database.path()).await.map_err(failed)?;
        sqlx::query("VACUUM")
            .execute(&mut connection)
            .await
            .map_err(failed)?;
        connection.close().await.map_err(failed)?;
        Ok(WriteAheadLog::of(self.database.path())
            .empty_within(PATIENCE)
            .await?)
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

async fn delete(tx: &mut Connection, owner: Owner) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM data_keys WHERE tenant = ? AND subject = ?")
        .bind(owner.tenant)
        .bind(owner.subject)
        .execute(tx)
        .await?;
    Ok(())
}

/// A connection beside the writer's, which waits for it and leaves no copies in files of its own.
async fn connect(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(PATIENCE)
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
        .connect()
        .await
}

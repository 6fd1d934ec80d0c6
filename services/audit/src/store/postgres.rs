//! The log on a Postgres server: one schema with the log and its derived index, another one with the keys that open
//! details, wrapped. Several instances may have the log open: all read, and one of them, elected by a lock, writes.

mod data_keys;
mod follower;
mod index;
mod reader;
mod tables;
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use harombe_sql::{Limits, Migrator, Postgres, PostgresConfig};
use harombe_tlog::{SigningKey, TileBuilder, VerifyingKey};
use sqlx::PgConnection;
use tokio::sync::watch;

use self::follower::Follower;
use self::writer::{Queue, Writer};
use super::ledger::{Appended, Ledger, Taken};
use super::port::{Reader, Store};
use super::{Head, KEYS_DIRECTORY, Lane, Term, published, signer};
use crate::Error;
use crate::domain::Draft;
use crate::metrics::Numbers;
pub(crate) use data_keys::PostgresKeys;
pub(crate) use index::PostgresIndex;
pub(crate) use reader::PostgresReader;

const SCHEMA: &str = "harombe_audit";

static MIGRATIONS: Migrator = harombe_sql::migrate!("migrations/postgres/log");

/// Opens the schema of the log, made when absent.
pub(super) async fn database(config: &PostgresConfig) -> Result<Postgres, Error> {
    Ok(Postgres::open(config, SCHEMA, &MIGRATIONS).await?)
}

/// Opens a log for reading only, with a role that needs no other right.
pub(crate) async fn read_only(config: &PostgresConfig) -> Result<PostgresReader, Error> {
    let postgres = Postgres::open_read_only(config, SCHEMA).await?;
    let is_there: bool = sqlx::query_scalar("SELECT to_regclass('entries') IS NOT NULL")
        .fetch_one(postgres.pool())
        .await
        .map_err(|error| postgres.error(error))?;
    if !is_there {
        return Err(Error::NoLog);
    }
    Ok(PostgresReader::new(postgres))
}

/// The public key that the log says is its own.
pub(crate) async fn verifier(db: &mut PgConnection) -> Result<VerifyingKey, Error> {
    let text = registered(db).await.map_err(|error| Error::Store(error.into()))?;
    let text = text.ok_or_else(|| Error::Damaged("it names no key of its own".to_owned()))?;
    Ok(VerifyingKey::parse(&text)?)
}

async fn registered(db: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT verifier FROM identity")
        .fetch_optional(db)
        .await
}

/// The log, opened for reading and, when this instance is elected, for writing.
pub(crate) struct PostgresStore {
    queue: Arc<Queue>,
    follower: Follower,
    reader: PostgresReader,
    head: watch::Receiver<Arc<Head>>,
    writes: watch::Receiver<Option<Term>>,
    verifier_key: String,
    database: Postgres,
}

impl PostgresStore {
    /// Opens the log with the key that signs it, and stands for election. `directory` is the service's own.
    pub(crate) async fn open(
        directory: &Path,
        signing_key: &Path,
        database: Postgres,
        limits: Limits,
        numbers: &Numbers,
    ) -> Result<Self, Error> {
        let key = identify(signing_key, &database).await?;
        let verifying = key.verifying_key().clone();
        signer::publish(&directory.join(KEYS_DIRECTORY), &verifying)?;
        let reader = PostgresReader::new(database.clone());
        let empty = Arc::new(Head::sign(TileBuilder::new(), &key)?);
        let follower = Follower::new(database.clone(), verifying.clone(), empty);
        // A log that is not what was signed is told of now, not at the first append.
        let newest = follower.head().await?;
        published::check(directory, &reader, &newest, &verifying).await?;
        let (sender, head) = watch::channel(newest);
        let ledger = Ledger::new(key, sender, HashMap::new(), numbers.clone());
        let (queue, writes) = Writer::start(database.clone(), directory.to_owned(), ledger, limits);
        Ok(Self {
            queue: Arc::new(queue),
            follower,
            reader,
            head,
            writes,
            verifier_key: verifying.to_string(),
            database,
        })
    }
}

/// Loads the signing key, made for a log that has none, and refuses one that is not the log's.
async fn identify(path: &Path, database: &Postgres) -> Result<SigningKey, Error> {
    let registered = || database.idempotent(|db| Box::pin(async move { Ok(registered(db).await?) }));
    let is_new = registered().await?.is_none();
    let key = signer::load(path, is_new)?;
    let own = key.verifying_key().to_string();
    if is_new {
        let text = own.clone();
        let register = database.idempotent(move |db| {
            let text = text.clone();
            Box::pin(async move {
                sqlx::query("INSERT INTO identity (verifier) VALUES ($1) ON CONFLICT DO NOTHING")
                    .bind(text)
                    .execute(db)
                    .await?;
                Ok(())
            })
        });
        register.await?;
    }
    // Another instance may have been first.
    if registered().await? != Some(own) {
        return Err(Error::NotTheLogs {
            path: path.to_owned(),
        });
    }
    Ok(key)
}

#[async_trait]
impl Store for PostgresStore {
    async fn append(&self, lane: &Lane, term: Term, drafts: Vec<Draft>) -> Result<Appended, Error> {
        self.queue
            .append(lane, term, drafts)
            .await?
            .map_err(|Taken| Error::EventIdTaken)
    }

    async fn head(&self) -> Result<Arc<Head>, Error> {
        self.follower.head().await
    }

    fn watch(&self) -> watch::Receiver<Arc<Head>> {
        self.head.clone()
    }

    fn writes(&self) -> watch::Receiver<Option<Term>> {
        self.writes.clone()
    }

    fn term(&self) -> Option<Term> {
        *self.writes.borrow()
    }

    fn reader(&self) -> &dyn Reader {
        &self.reader
    }

    fn verifier_key(&self) -> &str {
        &self.verifier_key
    }

    async fn close(&self) {
        self.queue.shutdown().await;
        self.database.close().await;
    }
}

#[cfg(test)]
mod tests;

//! Where a test's state is kept, and each test on each database.

use std::path::PathBuf;
use std::sync::Arc;

use harombe_sql::pg::PgConnection;
use harombe_sql::{PostgresConfig, StoreConfig};
use harombe_testkit::postgres::Database;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::store::{Consolidations, Generations, MemoryStore, Opened, Outbox, Peers, Store, open};

/// A database of the test's own, as long as this value lives.
pub(super) struct Place {
    config: StoreConfig,
    data: PathBuf,
    _dir: tempfile::TempDir,
    database: Option<Database>,
}

impl Place {
    pub(super) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            config: StoreConfig::default(),
            data: dir.path().to_owned(),
            _dir: dir,
            database: None,
        }
    }

    pub(super) async fn postgres() -> Self {
        let database = Database::create().await;
        Self {
            config: StoreConfig {
                postgres: Some(PostgresConfig {
                    connections: 4,
                    ..database.config()
                }),
            },
            database: Some(database),
            ..Self::sqlite()
        }
    }

    async fn opened(&self) -> Opened {
        open(&self.config, &self.data, Outbox::Kept).await.unwrap()
    }

    pub(super) async fn open(&self) -> Arc<dyn Store> {
        self.opened().await.store
    }

    pub(super) async fn both(&self) -> (Arc<dyn Store>, Arc<dyn MemoryStore>) {
        let opened = self.opened().await;
        (opened.store, opened.memories)
    }

    pub(super) async fn memories(&self) -> Arc<dyn MemoryStore> {
        self.opened().await.memories
    }

    /// As [`Place::replicas`].
    pub(super) async fn memory_replicas(&self) -> Vec<Arc<dyn MemoryStore>> {
        let mut replicas = vec![self.memories().await];
        if self.config.postgres.is_some() {
            replicas.push(self.memories().await);
            replicas.push(self.memories().await);
        }
        replicas
    }

    pub(super) async fn generations(&self) -> Arc<dyn Generations> {
        self.opened().await.generations
    }

    pub(super) async fn consolidations(&self) -> (Arc<dyn MemoryStore>, Arc<dyn Consolidations>) {
        let opened = self.opened().await;
        (opened.memories, opened.consolidations)
    }

    pub(super) async fn all(&self) -> (Arc<dyn Store>, Arc<dyn MemoryStore>, Arc<dyn Consolidations>) {
        let opened = self.opened().await;
        (opened.store, opened.memories, opened.consolidations)
    }

    /// Whether several processes may have it.
    pub(super) fn is_shared(&self) -> bool {
        self.config.postgres.is_some()
    }

    pub(super) async fn peers(&self) -> Arc<dyn Peers> {
        self.opened().await.peers.unwrap()
    }

    /// The database, where it is a file.
    pub(super) fn file(&self) -> Option<PathBuf> {
        (!self.is_shared()).then(|| self.data.join("memory.db"))
    }

    /// A connection of nobody's, where several processes may share the state.
    pub(super) async fn beside(&self) -> Option<PgConnection> {
        let database = self.database.as_ref()?;
        Some(PgConnection::connect(&database.url()).await.unwrap())
    }

    /// As if all turns were from before what they had seen was known, and the state were brought up to date now.
    pub(super) async fn migrate_outside(&self) {
        let forget = "UPDATE runs SET saw_outside = NULL; UPDATE sessions SET saw_outside = (1 = 0);";
        if let Some(mut connection) = self.beside().await {
            let migration = include_str!("../../../migrations/postgres/0008_outside.sql");
            connection
                .execute("SET search_path TO harombe_memory")
                .await
                .unwrap();
            connection.execute(forget).await.unwrap();
            connection.execute(update_of(migration)).await.unwrap();
        } else {
            let path = self.data.join("memory.db");
            let mut connection = SqliteConnectOptions::new()
                .filename(path)
                .connect()
                .await
                .unwrap();
            let migration = include_str!("../../../migrations/sqlite/0009_outside.sql");
            connection.execute(forget).await.unwrap();
            connection.execute(update_of(migration)).await.unwrap();
        }
    }

    /// All that may be open at once: a file has one process, a server has many.
    pub(super) async fn replicas(&self) -> Vec<Arc<dyn Store>> {
        let mut replicas = vec![self.open().await];
        if self.config.postgres.is_some() {
            replicas.push(self.open().await);
            replicas.push(self.open().await);
        }
        replicas
    }
}

/// What a migration does to rows.
fn update_of(migration: &'static str) -> &'static str {
    &migration[migration.find("UPDATE").unwrap()..]
}

/// Each test on each database.
macro_rules! on_each {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::contract::place::Place::sqlite()).await;
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::contract::place::Place::postgres().await).await;
            })*
        }
    };
}
pub(super) use on_each;

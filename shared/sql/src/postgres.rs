//! A service's schema on a Postgres server: opening it, and doing work in it that survives a server that restarts.

mod attempt;
mod fault;
mod hints;
mod notify;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::time::Instant;

use crate::database::migration_failed;
use crate::{Error, PostgresConfig};

pub use hints::Hints;

/// Between two attempts to reach a server that is starting.
const PAUSE: Duration = Duration::from_millis(100);
/// Held while a schema is made or migrated, so that replicas which start together take turns. Any constant of ours.
const MIGRATION_LOCK: i64 = 0x6861_726f_6d62_6531;
/// Settings of every connection. Acknowledged is durable, whatever the role's or the database's default. A statement,
/// a wait for a lock or an open transaction that takes longer than these has a cause that waiting does not cure; and
/// what a process held that vanished is free again after them.
const SETTINGS: [(&str, &str); 5] = [
    ("synchronous_commit", "on"),
    ("default_transaction_isolation", "read committed"),
    ("statement_timeout", "20s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "20s"),
];

/// A service's schema. Cheap to clone.
#[derive(Clone)]
pub struct Postgres {
    pool: PgPool,
    options: Arc<PgConnectOptions>,
    server: Arc<str>,
    schema: &'static str,
    acquire: Duration,
}

/// Without the options, which hold the password.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("server", &self.server)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// Makes the schema when absent and applies the migrations of the calling crate to it; replicas may do so at
    /// once. Waits for a server that does not answer as long as the configuration says.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Unreachable`], [`Error::Refused`], [`Error::NotDurable`], [`Error::SchemaNewer`],
    /// [`Error::Migration`]: each says what to do.
    pub async fn open(
        config: &PostgresConfig,
        schema: &'static str,
        migrator: &Migrator,
    ) -> Result<Self, Error> {
        let postgres = Self::lazily(config, schema, SETTINGS)?;
        let mut connection = postgres.first_connection().await?;
        postgres.demand_durability(&mut connection).await?;
        postgres.migrate(&mut connection, migrator).await?;
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "closing the first connection failed");
        }
        Ok(postgres)
    }

    /// Opens a schema for reading, with a role that needs no other right; nothing is made, checked or migrated. A
    /// statement or a transaction may take as long as it takes.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Unreachable`], [`Error::Refused`].
    pub async fn open_read_only(config: &PostgresConfig, schema: &'static str) -> Result<Self, Error> {
        let postgres = Self::lazily(config, schema, [("default_transaction_read_only", "on")])?;
        let connection = postgres.first_connection().await?;
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "closing the first connection failed");
        }
        Ok(postgres)
    }

    fn lazily<const N: usize>(
        config: &PostgresConfig,
        schema: &'static str,
        settings: [(&str, &str); N],
    ) -> Result<Self, Error> {
        let options = config
            .connect_options()
            .map_err(Error::Config)?
            .application_name(schema)
            .statement_cache_capacity(256)
            .options(settings)
            .options([("search_path", schema)]);
        let acquire = config.acquire.as_duration();
        let pool = PgPoolOptions::new()
            .max_connections(config.connections)
            .acquire_timeout(acquire)
            // a dead connection is found out by its use, and the work is repeated: no round trip for each acquisition
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        Ok(Self {
            pool,
            server: server(&options).into(),
            options: Arc::new(options),
            schema,
            acquire,
        })
    }

    /// The connections. Work that goes around [`Postgres::transaction`] and [`Postgres::idempotent`] may meet a
    /// connection that a restart of the server has broken; give its errors to [`Postgres::error`].
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The schema, which is also the name of its channel for hints.
    pub fn schema(&self) -> &'static str {
        self.schema
    }

    /// Sorts what a statement returned by what somebody can do about it.
    pub fn error(&self, source: sqlx::Error) -> Error {
        fault::sort(source, &self.server)
    }

    /// Closes the connections, waiting for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn first_connection(&self) -> Result<PgConnection, Error> {
        let deadline = Instant::now() + self.acquire;
        loop {
            let connected = tokio::time::timeout_at(deadline, self.options.connect()).await;
            let error = match connected {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => self.error(error),
                Err(elapsed) => return Err(fault::unreachable(&self.server, elapsed)),
            };
            if !matches!(error, Error::Unreachable { .. }) || Instant::now() + PAUSE >= deadline {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn demand_durability(&self, connection: &mut PgConnection) -> Result<(), Error> {
        for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
            let value: String = sqlx::query_scalar("SELECT current_setting($1)")
                .bind(setting)
                .fetch_one(&mut *connection)
                .await
                .map_err(|error| self.error(error))?;
            if value != "on" {
                return Err(Error::NotDurable {
                    server: Arc::clone(&self.server),
                    setting,
                    value,
                });
            }
        }
        Ok(())
    }

    async fn migrate(&self, connection: &mut PgConnection, migrator: &Migrator) -> Result<(), Error> {
        self.prepare_schema(connection)
            .await
            .map_err(|error| self.error(error))?;
        match migrator.run_direct(None, connection, false).await {
            Ok(()) => Ok(()),
            Err(MigrateError::Execute(source)) => Err(self.error(source)),
            Err(MigrateError::ExecuteMigration(source, _)) if fault::is_connection(&source) => {
                Err(self.error(source))
            }
            Err(other) => {
                let place = PathBuf::from(format!("{} (schema {})", self.server, self.schema));
                Err(migration_failed(place, migrator, other))
            }
        }
    }

    async fn prepare_schema(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        // a large table may take its time, and a replica waits for the one that migrates; the lock ends with the connection
        sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0")
            .execute(&mut *connection)
            .await?;
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(MIGRATION_LOCK)
            .execute(&mut *connection)
            .await?;
        // CREATE SCHEMA IF NOT EXISTS asks for a right that a role may lack whose schema somebody made for it
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
            .bind(self.schema)
            .fetch_one(&mut *connection)
            .await?;
        if !exists {
            let create = format!("CREATE SCHEMA \"{}\"", self.schema);
            sqlx::raw_sql(AssertSqlSafe(create))
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

/// Server and database, for messages.
fn server(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    match options.get_socket() {
        Some(socket) => format!("{}/{database}", socket.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

//! A place for a log in either database, for tests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harombe_error::ServiceError as _;
use harombe_sql::StoreConfig;
use harombe_testkit::postgres::Database;
use harombe_types::{Person, ServiceName, SystemClock};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::domain::Event;
use crate::files::Source;
use crate::fixture::{LIMITS, Writer, numbers};
use crate::log::{Erasures, Log};
use crate::store::sqlite::LOG_FILE;
use crate::store::{Appended, Place};
use crate::verify::{Known, Report, VerifyError, verify_with};

/// Where a log is, erased with this value.
pub(crate) struct Bench {
    pub(crate) directory: TempDir,
    pub(crate) database: Option<Database>,
}

impl Bench {
    pub(crate) fn sqlite() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            database: None,
        }
    }

    pub(crate) async fn postgres() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            database: Some(Database::create().await),
        }
    }

    pub(crate) fn place(&self) -> Place {
        let config = StoreConfig {
            postgres: self.database.as_ref().map(Database::config),
        };
        Place::new(self.directory.path().to_owned(), config)
    }

    /// The log, once this process may write to it.
    pub(crate) async fn open(&self) -> Log {
        let log = self.open_at(self.directory.path()).await;
        log.store().writes().wait_for(Option::is_some).await.unwrap();
        log
    }

    /// The log as another instance has it, whose own directory is `directory`. The keys are shared.
    pub(crate) async fn open_at(&self, directory: &Path) -> Log {
        let place = Place {
            directory: directory.to_owned(),
            ..self.place()
        };
        Log::open(place, harombe_sql::Limits::default(), LIMITS, &numbers())
            .await
            .unwrap()
    }

    /// Does something to the tables that no service does, triggers and keys set aside.
    pub(crate) async fn tamper(&self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        match &self.database {
            None => {
                let path = self.directory.path().join(LOG_FILE);
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let mut db = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::raw_sql(statement).execute(&mut db).await.unwrap();
                db.close().await.unwrap();
            }
            Some(database) => {
                let mut db = PgConnection::connect(&database.url()).await.unwrap();
                sqlx::raw_sql("SET search_path = harombe_audit; SET session_replication_role = replica")
                    .execute(&mut db)
                    .await
                    .unwrap();
                sqlx::raw_sql(statement).execute(&mut db).await.unwrap();
                db.close().await.unwrap();
            }
        }
    }

    pub(crate) async fn verify(&self, known: Known) -> Result<Report, VerifyError> {
        match &self.database {
            None => verify_with(self.directory.path(), known).await,
            Some(database) => {
                let source = Source::Postgres {
                    config: &database.config(),
                    wrapping_key: None,
                };
                verify_with(source, known).await
            }
        }
    }

    pub(crate) async fn intact(&self) -> Report {
        self.verify(Known::default()).await.unwrap()
    }
}

/// Appends as a service does: again, as long as the log says that it may work later.
pub(crate) async fn persist(log: &Log, service: ServiceName, events: Vec<Event>) -> Appended {
    loop {
        match log.append(service, events.clone()).await {
            Ok(appended) => return appended,
            Err(error) if error.retry_after().is_some() => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// An instance's way to erase people.
pub(crate) fn erasing(log: &Arc<Log>) -> Erasures {
    Erasures::new(Arc::clone(log), Arc::new(SystemClock))
}

/// An admin of the tenant `alpha`.
pub(crate) fn admin() -> Person {
    Person {
        tenant: "alpha".parse().unwrap(),
        ..harombe_testkit::person("root")
    }
}

/// Erases as a service does: again, as long as the log says that it may work later.
pub(crate) async fn erase(erasures: &Erasures, subject: &str) -> u64 {
    loop {
        match erasures.erase(&admin(), &subject.parse().unwrap()).await {
            Ok(data_keys) => return data_keys,
            Err(error) if error.retry_after().is_some() => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// A log of `groups` commits, each over that many entries, closed again.
pub(crate) async fn written(bench: &Bench, groups: &[usize]) {
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::SandboxBroker);
    for (at, count) in groups.iter().enumerate() {
        let tenant = if at % 3 == 2 { "beta" } else { "alpha" };
        log.append(writer.service, writer.events(tenant, *count))
            .await
            .unwrap();
    }
    log.close().await;
}

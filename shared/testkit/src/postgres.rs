//! A Postgres for tests: a fresh database on the server that `make setup-test` starts, or a server of the test's own
//! that it may stop, start and kill.

mod server;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use harombe_sql::PostgresConfig;
use harombe_types::{Clock as _, SystemClock};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

pub use server::{Server, advance};

/// Names the server for tests, as a url of a role that may create databases.
pub const URL_VARIABLE: &str = "HAROMBE_TEST_POSTGRES_URL";

/// A database of the test's own, dropped with this value.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Makes one.
    ///
    /// # Panics
    /// When there is no server; the message says how to get one.
    pub async fn create() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "harombe_test_{}_{}_{}",
            SystemClock.now().as_millis() / 1000,
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let server = server_url();
        // template0: nobody can be connected to it, which would keep a copy from being made
        execute(&server, &format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        Self { server, name }
    }

    /// How a service reaches it.
    #[must_use]
    pub fn config(&self) -> PostgresConfig {
        PostgresConfig {
            url: self.url(),
            ..PostgresConfig::default()
        }
    }

    /// Its url, without a password.
    #[must_use]
    pub fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = self.server.clone();
        // a runtime of its own: the test's may be this very thread's
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .ok()?;
            runtime.block_on(async {
                let mut connection = options(&server).connect().await.ok()?;
                sqlx::raw_sql(AssertSqlSafe(drop))
                    .execute(&mut connection)
                    .await
                    .ok()?;
                connection.close().await.ok()
            })
        });
        // what is left behind is dropped by the setup script a day later
        let _ = dropped.join();
    }
}

/// The url of the server for tests.
#[expect(clippy::panic, reason = "a test without its server fails and says why")]
fn server_url() -> String {
    if let Ok(url) = std::env::var(URL_VARIABLE) {
        return url;
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let marker = cache
        .or_else(home)
        .unwrap_or_default()
        .join("harombe/postgres/url");
    match std::fs::read_to_string(&marker) {
        Ok(url) => url.trim().to_owned(),
        Err(error) => panic!(
            "no Postgres for tests ({}: {error}); run `make setup-test`, or set {URL_VARIABLE}",
            marker.display()
        ),
    }
}

/// The same server and role, another database.
fn with_database(server: &str, database: &str) -> String {
    let (address, query) = server.split_once('?').unwrap_or((server, ""));
    let host = address.rsplit_once('/').map_or(address, |(host, _)| host);
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{host}/{database}{separator}{query}")
}

#[expect(clippy::unwrap_used, reason = "a test with a bad url fails")]
fn options(url: &str) -> PgConnectOptions {
    url.parse::<PgConnectOptions>()
        .unwrap()
        .disable_statement_logging()
}

#[expect(clippy::panic, reason = "a test without its server fails and says why")]
async fn execute(url: &str, statement: &str) {
    let done = async {
        let mut connection = options(url).connect().await?;
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await?;
        connection.close().await
    };
    if let Err(error) = done.await {
        panic!("the Postgres for tests at {url} does not do `{statement}` ({error}); run `make setup-test`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_server_and_parameters() {
        let check = |url: &str, expected: &str| assert_eq!(with_database(url, "d"), expected);
        check(
            "postgres://p@localhost/postgres?host=/a/b",
            "postgres://p@localhost/d?host=/a/b",
        );
        check("postgres://p@localhost:5/postgres", "postgres://p@localhost:5/d");
    }

    #[tokio::test]
    async fn a_database_is_there_as_long_as_its_value() {
        let database = Database::create().await;
        let url = database.url();
        execute(&url, "CREATE TABLE t (x int)").await;
        drop(database);
        assert!(options(&url).connect().await.is_err());
    }
}

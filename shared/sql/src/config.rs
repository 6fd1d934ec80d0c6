//! Where a service keeps its state, as an operator writes it down.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use harombe_config::{JsonSchema, Span};
use serde::{Deserialize, Serialize};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

const MOST_CONNECTIONS: u32 = 200;
const ACQUIRE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// What a url may set beside server, role and database.
const PARAMETERS: [&str; 6] = ["host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey"];

/// Which store a service uses. By default SQLite, in the service's own folder of the data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// A Postgres server instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresConfig>,
}

/// A database on a Postgres server. Each service has a schema of its own in it, so all may name the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct PostgresConfig {
    /// `postgres://role@host:port/database`, without a password. `?host=/directory` names a unix socket's directory.
    /// A server that is not on this machine is spoken to by TLS only, its certificate verified
    /// (`sslmode=verify-full`, which is the default then, or `verify-ca`; `sslrootcert=/ca.pem`).
    pub url: String,
    /// A file with the role's password. None: as libpq does, `PGPASSWORD` or `~/.pgpass`, if the server asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Most connections of this process.
    pub connections: u32,
    /// How long a caller waits for a connection, and a start for the server.
    pub acquire: Span,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            password_file: None,
            connections: 8,
            acquire: Duration::from_secs(5).into(),
        }
    }
}

impl StoreConfig {
    /// Every fault; `key` is the section's name, such as `hitl.store`.
    #[must_use]
    pub fn validate(&self, key: &str) -> Vec<String> {
        let config = self.postgres.as_ref();
        config.map_or_else(Vec::new, |config| config.validate(&format!("{key}.postgres")))
    }
}

impl PostgresConfig {
    /// Every fault; `key` is the section's name.
    #[must_use]
    pub fn validate(&self, key: &str) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(fault) = self.address() {
            faults.push(format!("{key}.url: {fault}"));
        }
        if !(1..=MOST_CONNECTIONS).contains(&self.connections) {
            faults.push(format!("{key}.connections: must be from 1 to {MOST_CONNECTIONS}"));
        }
        if !(ACQUIRE.0..=ACQUIRE.1).contains(&self.acquire.as_duration()) {
            faults.push(format!("{key}.acquire: must be from \"100ms\" to \"60s\""));
        }
        faults
    }

    /// How to connect, password included.
    ///
    /// # Errors
    /// What is wrong with the section, or with the password's file.
    pub(crate) fn connect_options(&self) -> Result<PgConnectOptions, Vec<String>> {
        let faults = self.validate("postgres");
        if !faults.is_empty() {
            return Err(faults);
        }
        let options = self.address().map_err(|fault| vec![fault])?;
        let Some(path) = &self.password_file else {
            return Ok(options);
        };
        match fs::read_to_string(path) {
            Ok(password) => Ok(options.password(password.trim_end_matches(['\r', '\n']))),
            Err(error) => Err(vec![format!(
                "postgres.password_file: {} cannot be read: {error}",
                path.display()
            )]),
        }
    }

    fn address(&self) -> Result<PgConnectOptions, String> {
        let form = "write postgres://role@host:port/database";
        let url = Url::parse(&self.url).map_err(|error| format!("is no url ({error}); {form}"))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(format!("is no postgres url; {form}"));
        }
        if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
            return Err(
                "must not hold a password; put it into a file and name it in password_file".to_owned(),
            );
        }
        if url.username().is_empty() || url.path().trim_matches('/').is_empty() {
            return Err(format!("must name a role and a database; {form}"));
        }
        if let Some((key, _)) = url
            .query_pairs()
            .find(|(key, _)| !PARAMETERS.contains(&key.as_ref()))
        {
            return Err(format!(
                "{key} is not a known parameter; use {}",
                PARAMETERS.join(", ")
            ));
        }
        let options: PgConnectOptions = self
            .url
            .parse()
            .map_err(|error: sqlx::Error| format!("cannot be used ({error}); {form}"))?;
        let said = url.query_pairs().any(|(key, _)| key == "sslmode");
        with_tls(options, said).map(ConnectOptions::disable_statement_logging)
    }
}

/// On this machine plain text is as good; elsewhere only TLS with a verified certificate is.
fn with_tls(options: PgConnectOptions, said: bool) -> Result<PgConnectOptions, String> {
    let host = options.get_host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let local = options.get_socket().is_some()
        || host == "localhost"
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match (local, said) {
        (true, false) => Ok(options.ssl_mode(PgSslMode::Disable)),
        (false, false) => Ok(options.ssl_mode(PgSslMode::VerifyFull)),
        (true, true) => Ok(options),
        (false, true) => match options.get_ssl_mode() {
            PgSslMode::VerifyCa | PgSslMode::VerifyFull => Ok(options),
            _ => Err(format!(
                "{host} is another machine: sslmode must be verify-full or verify-ca, with sslrootcert naming its CA"
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> PostgresConfig {
        PostgresConfig {
            url: url.to_owned(),
            ..PostgresConfig::default()
        }
    }

    fn mode(url: &str) -> String {
        let options = config(url).connect_options().unwrap();
        format!("{:?}", options.get_ssl_mode())
    }

    fn fault(url: &str, expected: &str) {
        let faults = config(url).validate("hitl.store.postgres");
        assert_eq!(faults.len(), 1, "{url}: {faults:?}");
        assert!(faults[0].starts_with("hitl.store.postgres.url: "), "{faults:?}");
        assert!(faults[0].contains(expected), "{url}: {faults:?}");
    }

    #[test]
    fn nothing_said_is_sqlite_and_has_no_fault() {
        assert_eq!(
            StoreConfig::default().validate("hitl.store"),
            Vec::<String>::new()
        );
        assert_eq!(StoreConfig::default().postgres, None);
    }

    #[test]
    fn another_machine_is_spoken_to_by_verified_tls_only() {
        assert_eq!(mode("postgres://r@127.0.0.1:5432/d"), "Disable");
        assert_eq!(mode("postgres://r@localhost/d"), "Disable");
        assert_eq!(mode("postgres://r@[::1]/d"), "Disable");
        assert_eq!(mode("postgres://r@localhost/d?host=/run/postgresql"), "Disable");
        assert_eq!(mode("postgres://r@localhost/d?sslmode=verify-full"), "VerifyFull");
        assert_eq!(mode("postgres://r@db.example/d"), "VerifyFull");
        assert_eq!(mode("postgres://r@db.example/d?sslmode=verify-ca"), "VerifyCa");
        for weak in ["disable", "allow", "prefer", "require"] {
            fault(
                &format!("postgres://r@db.example/d?sslmode={weak}"),
                "verify-full",
            );
        }
    }

    #[test]
    fn a_url_says_who_and_where_and_no_secret() {
        fault("", "no url");
        fault("mysql://r@localhost/d", "no postgres url");
        fault("postgres://r:secret@localhost/d", "password_file");
        fault("postgres://r@localhost/d?password=secret", "password_file");
        fault("postgres://localhost/d", "role and a database");
        fault("postgres://r@localhost/", "role and a database");
        fault("postgres://r@localhost/d?options=-cfsync%3Doff", "options is not");
    }

    #[test]
    fn bounds_and_files_are_checked() {
        let mut config = config("postgres://r@localhost/d");
        config.connections = 0;
        config.acquire = Duration::ZERO.into();
        assert_eq!(config.validate("x").len(), 2);
        let config = PostgresConfig {
            password_file: Some("/does/not/exist".into()),
            ..self::config("postgres://r@localhost/d")
        };
        assert_eq!(config.validate("x"), Vec::<String>::new());
        let faults = config.connect_options().unwrap_err();
        assert!(faults[0].contains("/does/not/exist"), "{faults:?}");
    }
}

//! Which log `harombe audit` reads: the files of a data directory, or the tables that a url or the configuration names.

use std::path::PathBuf;

use harombe_audit::files::{PostgresConfig, Source};

use crate::attach::Place;
use crate::cli::Error;
use crate::compose::Config;

/// A log on a Postgres server, said by hand.
#[derive(Debug, clap::Args)]
pub(super) struct Database {
    /// The log in this database, such as postgres://auditor@db.example.org/harombe; a role that may read is enough
    /// [default: what audit.store in the configuration says, else the files in the data directory]
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// File with the password for that database
    #[arg(long, value_name = "FILE", requires = "postgres")]
    password_file: Option<PathBuf>,
}

/// Where the log is.
pub(super) enum Log {
    Files(PathBuf),
    Tables {
        config: PostgresConfig,
        wrapping_key: Option<PathBuf>,
    },
}

impl Log {
    /// What the command line and the configuration come to.
    pub(super) fn of(place: &Place, database: &Database) -> Result<Self, Error> {
        let audit = Config::load(place.config.as_deref())?.audit;
        let directory = place.data()?.join("audit");
        let said = database.postgres.as_ref().map(|url| PostgresConfig {
            url: url.clone(),
            password_file: database.password_file.clone(),
            ..PostgresConfig::default()
        });
        if let Some(config) = said.or(audit.store.postgres) {
            let beside = directory.join("keys").join("wrapping.key");
            return Ok(Self::Tables {
                config,
                wrapping_key: audit.wrapping_key.or_else(|| beside.is_file().then_some(beside)),
            });
        }
        if !directory.join("audit.db").is_file() {
            return Err(Error::NoLog(directory));
        }
        Ok(Self::Files(directory))
    }

    pub(super) fn source(&self) -> Source<'_> {
        match self {
            Self::Files(directory) => Source::Directory(directory),
            Self::Tables { config, wrapping_key } => Source::Postgres {
                config,
                wrapping_key: wrapping_key.as_deref(),
            },
        }
    }
}

//! Opening the three stores of a log, in the database that the configuration names.

use std::path::PathBuf;

use harombe_sql::{Limits, StoreConfig};

use super::postgres::{self, PostgresIndex, PostgresKeys, PostgresStore};
use super::sqlite::{DATA_KEYS_FILE, SqliteIndex, SqliteKeys, SqliteStore};
use super::{DataKeys, Index, KEYS_DIRECTORY, SIGNER_FILE, Store, WRAPPING_FILE};
use crate::Error;
use crate::metrics::Numbers;

/// Where a log and its keys are.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The service's own directory.
    pub(crate) directory: PathBuf,
    /// The file of the key that signs.
    pub(crate) signing_key: PathBuf,
    /// The file of the key that wraps data keys, where they are not in a file of their own.
    pub(crate) wrapping_key: PathBuf,
    pub(crate) config: StoreConfig,
}

impl Place {
    /// A log whose key files are where they are when nothing else is configured.
    pub(crate) fn new(directory: PathBuf, config: StoreConfig) -> Self {
        let keys = directory.join(KEYS_DIRECTORY);
        Self {
            signing_key: keys.join(SIGNER_FILE),
            wrapping_key: keys.join(WRAPPING_FILE),
            directory,
            config,
        }
    }
}

/// An open log.
pub(crate) struct Opened {
    pub(crate) store: Box<dyn Store>,
    pub(crate) keys: DataKeys,
    pub(crate) index: Box<dyn Index>,
}

/// Opens the log at `place`, and makes one where there is none.
pub(crate) async fn open(place: &Place, limits: Limits, numbers: &Numbers) -> Result<Opened, Error> {
    let Some(config) = &place.config.postgres else {
        let directory = &place.directory;
        let store = SqliteStore::open(directory, &place.signing_key, limits, numbers).await?;
        let keys = SqliteKeys::open(&directory.join(KEYS_DIRECTORY).join(DATA_KEYS_FILE)).await?;
        let index = SqliteIndex::open(directory).await?;
        return Ok(Opened {
            store: Box::new(store),
            keys: DataKeys::new(keys),
            index: Box::new(index),
        });
    };
    let database = postgres::database(config).await?;
    let keys = PostgresKeys::open(config, &place.wrapping_key).await?;
    let index = PostgresIndex::new(database.clone());
    let store = PostgresStore::open(&place.directory, &place.signing_key, database, limits, numbers).await?;
    Ok(Opened {
        keys: keys.destroyed_by(&store),
        store: Box::new(store),
        index: Box::new(index),
    })
}

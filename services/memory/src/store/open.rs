//! Opens the store that the configuration names.

use std::path::Path;
use std::sync::Arc;

use harombe_sql::{Error, StoreConfig};

use super::postgres::{PostgresPeers, PostgresStore};
use super::sqlite::SqliteStore;
use super::{Peers, Store};

const FILE: &str = "memory.db";

/// An open store, and the other processes on it if there can be any.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) peers: Option<Arc<dyn Peers>>,
}

/// Opens Postgres if it is configured, else the file in `data`.
///
/// # Errors
/// As [`harombe_sql::Postgres::open`] and [`harombe_sql::Database::open`].
pub(crate) async fn open(config: &StoreConfig, data: &Path) -> Result<Opened, Error> {
    let Some(config) = &config.postgres else {
        let store = Arc::new(SqliteStore::open(&data.join(FILE)).await?);
        return Ok(Opened { store, peers: None });
    };
    let store = PostgresStore::open(config).await?;
    let peers = PostgresPeers::of(&store);
    Ok(Opened {
        store: Arc::new(store),
        peers: Some(Arc::new(peers)),
    })
}

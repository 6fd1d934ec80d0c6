//! Opens the store that the configuration names.

use std::path::Path;
use std::sync::Arc;

use harombe_sql::{Error, StoreConfig};

use super::postgres::{PostgresPeers, PostgresStore};
use super::sqlite::SqliteStore;
use super::{Consolidations, Generations, MemoryStore, Outbox, Peers, Store};

const FILE: &str = "memory.db";

/// An open store, and the other processes on it if there can be any.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) memories: Arc<dyn MemoryStore>,
    pub(crate) generations: Arc<dyn Generations>,
    pub(crate) consolidations: Arc<dyn Consolidations>,
    pub(crate) peers: Option<Arc<dyn Peers>>,
}

/// Opens Postgres if it is configured, else the file in `data`.
///
/// # Errors
/// As [`harombe_sql::Postgres::open`] and [`harombe_sql::Database::open`].
pub(crate) async fn open(config: &StoreConfig, data: &Path, outbox: Outbox) -> Result<Opened, Error> {
    let Some(config) = &config.postgres else {
        let store = Arc::new(SqliteStore::open(&data.join(FILE), outbox).await?);
        return Ok(Opened {
            memories: Arc::clone(&store) as Arc<dyn MemoryStore>,
            generations: Arc::clone(&store) as Arc<dyn Generations>,
            consolidations: Arc::clone(&store) as Arc<dyn Consolidations>,
            store,
            peers: None,
        });
    };
    let store = PostgresStore::open(config, outbox).await?;
    let peers = PostgresPeers::of(&store);
    let store = Arc::new(store);
    Ok(Opened {
        memories: Arc::clone(&store) as Arc<dyn MemoryStore>,
        generations: Arc::clone(&store) as Arc<dyn Generations>,
        consolidations: Arc::clone(&store) as Arc<dyn Consolidations>,
        store,
        peers: Some(Arc::new(peers)),
    })
}

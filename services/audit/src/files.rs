//! Reading a log without the service: for an operator at the machine, on a log in use or on a copy of one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use harombe_sql::Database;
pub use harombe_sql::PostgresConfig;

use crate::Error;
pub use crate::domain::{Filter, Leaf};
pub use crate::log::Entry;
use crate::log::{Opener, matches, opened};
use crate::store::sqlite::{DATA_KEYS_FILE, LOG_FILE, SqliteKeys, SqliteReader};
use crate::store::{CHECKPOINT_FILE, DataKeys, KEYS_DIRECTORY, Reader, VERIFIER_FILE, postgres};

/// Entries read at once.
const PAGE: u32 = 128;

/// Where a log is that nobody serves here.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// The service's own directory, which holds `audit.db`.
    Directory(&'a Path),
    /// A Postgres server, with a role that may read.
    Postgres {
        config: &'a PostgresConfig,
        /// The key that opens the data keys; without it details stay closed.
        wrapping_key: Option<&'a Path>,
    },
}

impl<'a> From<&'a Path> for Source<'a> {
    fn from(directory: &'a Path) -> Self {
        Self::Directory(directory)
    }
}

impl<'a> From<&'a PathBuf> for Source<'a> {
    fn from(directory: &'a PathBuf) -> Self {
        Self::Directory(directory)
    }
}

/// At most `limit` entries that match `filter`, from index `from` on, with their details opened where the keys are there;
/// and the index to go on from when there may be more.
pub async fn query(
    source: impl Into<Source<'_>>,
    filter: &Filter,
    from: u64,
    limit: usize,
) -> Result<(Vec<Entry>, Option<u64>), Error> {
    let log = Log::open(source.into()).await?;
    let found = log.find(filter, from, limit).await;
    log.reader.close().await;
    found
}

/// Copies a log, in use or not, as of one moment: everything that verification reads, and neither the signing key nor the
/// keys to the details. `target` must be a directory that holds no log.
pub async fn copy(directory: &Path, target: &Path) -> Result<(), Error> {
    let keys = target.join(KEYS_DIRECTORY);
    fs::create_dir_all(&keys).map_err(|source| Error::File { path: keys, source })?;
    let verifier = Path::new(KEYS_DIRECTORY).join(VERIFIER_FILE);
    // Before the database: a copied checkpoint may lag behind the copied log, and must not lead it.
    for name in [Path::new(CHECKPOINT_FILE), &verifier] {
        match fs::copy(directory.join(name), target.join(name)) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(Error::File {
                    path: directory.join(name),
                    source,
                });
            }
            _ => {}
        }
    }
    let database = Database::open_read_only(&directory.join(LOG_FILE)).await?;
    SqliteReader::new(database).copy_to(&target.join(LOG_FILE)).await
}

/// A log read with nothing of it changed.
struct Log {
    reader: Box<dyn Reader>,
    keys: Option<DataKeys>,
}

impl Log {
    async fn open(source: Source<'_>) -> Result<Self, Error> {
        match source {
            Source::Directory(directory) => {
                let database = Database::open_read_only(&directory.join(LOG_FILE)).await?;
                let keys = directory.join(KEYS_DIRECTORY).join(DATA_KEYS_FILE);
                let keys = match keys.is_file() {
                    true => Some(SqliteKeys::open_read_only(&keys).await?),
                    false => None,
                };
                Ok(Self {
                    reader: Box::new(SqliteReader::new(database)),
                    keys,
                })
            }
            Source::Postgres { config, wrapping_key } => {
                let reader = Box::new(postgres::read_only(config).await?);
                let keys = match wrapping_key {
                    Some(path) => Some(postgres::PostgresKeys::open_read_only(config, path).await?),
                    None => None,
                };
                Ok(Self { reader, keys })
            }
        }
    }

    /// At most `limit` entries that match, from `from` on, and where to go on when there may be more.
    async fn find(
        &self,
        filter: &Filter,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<Entry>, Option<u64>), Error> {
        let opener = Opener::default();
        let mut found = Vec::new();
        let mut at = from;
        loop {
            let rows = self.reader.entries(at, PAGE).await?;
            if rows.is_empty() {
                return Ok((found, None));
            }
            for row in rows {
                at = row.index + 1;
                if !matches(filter, &row) {
                    continue;
                }
                if found.len() == limit {
                    return Ok((found, Some(row.index)));
                }
                found.push(match &self.keys {
                    Some(keys) => opened(keys, &opener, row).await?,
                    None => Entry {
                        index: row.index,
                        leaf: row.body,
                        details: String::new(),
                    },
                });
            }
        }
    }
}

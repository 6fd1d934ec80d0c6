//! Opening a database file: settings, damage check, migrations, and the split into one writer and some readers.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};

use crate::Error;
use crate::error::is_fault;

/// Files up to this size are checked page by page at every open (some 0.1 s here); larger ones only by
/// [`Database::check`], so that a long log does not delay a start by minutes.
const CHECK_AT_OPEN_BYTES: i64 = 256 << 20;
const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The read side of an open file. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    path: Arc<Path>,
    readers: SqlitePool,
}

/// The one writing connection of an open file; [`crate::GroupCommit`] and [`crate::Units`] take it over.
#[derive(Debug)]
pub struct Writer {
    path: Arc<Path>,
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
}

impl Database {
    /// Opens the file, creating it and its directory (readable by this user only) when absent, checks it for
    /// damage, and applies the migrations of the calling crate.
    ///
    /// # Errors
    /// [`Error::NotWritable`], [`Error::Corrupt`], [`Error::SchemaNewer`], [`Error::Migration`],
    /// [`Error::DiskFull`], [`Error::Locked`]: each names the file and says what to do.
    pub async fn open(path: &Path, migrator: &Migrator) -> Result<(Self, Writer), Error> {
        create_private(path)?;
        let path: Arc<Path> = path.into();
        let options = writing(&path);
        let mut connection = options.connect().await.map_err(|error| at(&path, error))?;
        check_small(&mut connection, &path).await?;
        migrate(&mut connection, migrator, &path).await?;
        let readers = readers(&path);
        let writer = Writer {
            path: Arc::clone(&path),
            options,
            connection: Some(connection),
        };
        Ok((Self { path, readers }, writer))
    }

    /// Opens an existing file for reading only; nothing is created, checked or migrated.
    ///
    /// # Errors
    /// [`Error::Missing`], or as [`Database::open`].
    pub async fn open_read_only(path: &Path) -> Result<Self, Error> {
        if !path.is_file() {
            return Err(Error::Missing {
                path: path.to_path_buf(),
            });
        }
        let path: Arc<Path> = path.into();
        let readers = readers(&path);
        let database = Self { path, readers };
        // reads the header and the schema, so that a file that is no database is refused here and not later
        sqlx::query("SELECT count(*) FROM sqlite_schema")
            .fetch_one(&database.readers)
            .await
            .map_err(|error| database.error(error))?;
        Ok(database)
    }

    /// The read-only connections. A long read keeps the write-ahead log from being reused: read in pages.
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sorts an error that a reader returned and names the file in it.
    pub fn error(&self, source: sqlx::Error) -> Error {
        at(&self.path, source)
    }

    /// Reads every page and compares what they say (`PRAGMA quick_check`); time grows with the file.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the first thing found wrong.
    pub async fn check(&self) -> Result<(), Error> {
        let mut connection = self.readers.acquire().await.map_err(|error| self.error(error))?;
        quick_check(&mut connection, &self.path).await
    }

    /// Closes the readers, waiting for those in use.
    pub async fn close(&self) {
        self.readers.close().await;
    }
}

impl Writer {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The connection, opened anew when a failure cost the last one.
    pub(crate) async fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self
                .options
                .connect()
                .await
                .map_err(|error| at(&self.path, error))?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Gives the connection up; SQLite rolls back what it had open.
    pub(crate) async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(path = %self.path.display(), error = %error, "closing the writing connection failed");
        }
    }
}

fn at(path: &Path, source: sqlx::Error) -> Error {
    Error::from(source).located(path)
}

/// SQLite gives its -wal and -shm files the mode of the database file, so making that file ourselves keeps all
/// three private whatever the umask.
fn create_private(path: &Path) -> Result<(), Error> {
    let refused = |source: io::Error| Error::not_writable(path, source);
    if let Some(directory) = path.parent()
        && !directory.as_os_str().is_empty()
    {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(refused)?;
    }
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(refused)
}

fn common(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(256)
        .pragma("temp_store", "MEMORY")
        // a database file is data that somebody may have handed us: it must not run functions from its schema
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

fn writing(path: &Path) -> SqliteConnectOptions {
    common(path)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL would lose the last commits at a power cut; an acknowledged append may not be lost
        .synchronous(SqliteSynchronous::Full)
        // 16 MiB of log between checkpoints: fewer fsyncs of the main file under load
        .pragma("wal_autocheckpoint", "4096")
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", "-8192")
        // from the beginning: a row that was changed leaves its former bytes where it was, and no later deletion finds them
        .pragma("secure_delete", "ON")
}

fn readers(path: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(0)
        .acquire_timeout(BUSY_TIMEOUT)
        // There is no line that could have broken: a file that cannot be read any more says so at the query.
        .test_before_acquire(false)
        .connect_lazy_with(common(path).read_only(true))
}

async fn check_small(connection: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    let bytes: i64 =
        sqlx::query_scalar("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| at(path, error))?;
    if bytes <= CHECK_AT_OPEN_BYTES {
        return quick_check(connection, path).await;
    }
    tracing::info!(path = %path.display(), bytes, "large database: its pages are not checked at start");
    Ok(())
}

async fn quick_check(connection: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(connection)
        .await
        .map_err(|error| at(path, error))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(Error::Corrupt {
        path: path.to_path_buf(),
        detail: verdict,
    })
}

async fn migrate(connection: &mut SqliteConnection, migrator: &Migrator, path: &Path) -> Result<(), Error> {
    let failed = match migrator.run_direct(None, connection, false).await {
        Ok(()) => return Ok(()),
        Err(failed) => failed,
    };
    Err(match failed {
        MigrateError::Execute(source) => at(path, source),
        MigrateError::ExecuteMigration(source, _) if is_fault(&source) => at(path, source),
        other => migration_failed(path.to_path_buf(), migrator, other),
    })
}

/// `place` is where the schema is kept.
pub(crate) fn migration_failed(place: PathBuf, migrator: &Migrator, failed: MigrateError) -> Error {
    let MigrateError::VersionMissing(found) = failed else {
        return Error::Migration {
            path: place,
            source: Arc::new(failed),
        };
    };
    let versions = migrator.iter().map(|migration| migration.version);
    Error::SchemaNewer {
        path: place,
        found,
        known: versions.max().unwrap_or(0),
    }
}

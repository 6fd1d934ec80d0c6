//! What can go wrong between a caller and the disk, sorted by what somebody can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::error::{DatabaseError as _, ErrorKind};
use sqlx::sqlite::SqliteError;

/// A failure of the store. Cheap to clone, because one failed commit answers every caller of its group.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The file or its directory cannot be created or written.
    #[error(
        "cannot write the database {path}; check that its directory exists and that this user may write there"
    )]
    NotWritable {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },

    /// A read-only open found no file.
    #[error("there is no database at {path}")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// The file is not a database, or its pages contradict each other.
    #[error(
        "the database {path} is damaged ({detail}); stop the service, set {path} and the files beside it that \
         end in -wal and -shm aside, and restore the file from a backup"
    )]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// The first thing that was found wrong.
        detail: String,
    },

    /// A newer program has written this database.
    #[error(
        "the database {path} has schema version {found}, this program knows only up to {known}; run the newer \
         program, or restore a backup made before the upgrade"
    )]
    SchemaNewer {
        /// The database file; or Postgres server, database and schema.
        path: PathBuf,
        /// The newest migration in the file.
        found: i64,
        /// The newest migration in this program.
        known: i64,
    },

    /// A migration could not be applied, or the file was migrated by a program with other migrations.
    #[error("cannot bring the schema of {path} up to date")]
    Migration {
        /// The database file; or Postgres server, database and schema.
        path: PathBuf,
        /// What the migrator said.
        #[source]
        source: Arc<sqlx::migrate::MigrateError>,
    },

    /// The disk, or the limit set for the file, is full. Nothing of the group was written.
    #[error("no room left to write {path}; free space on its disk")]
    DiskFull {
        /// The database file; or Postgres server and database.
        path: PathBuf,
    },

    /// Another process holds the write lock.
    #[error("the database {path} is locked by another process")]
    Locked {
        /// The database file.
        path: PathBuf,
    },

    /// Reading or writing the file failed. Nothing of the group is visible.
    #[error("input or output on {path} failed")]
    Io {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Arc<sqlx::Error>,
    },

    /// The Postgres server cannot be reached, is starting or stopping, or the connection broke. If it broke while
    /// the work was being committed, the work may have been done: repeat it under the same key.
    #[error("the Postgres server at {server} does not answer")]
    Unreachable {
        /// Server and database.
        server: Arc<str>,
        /// What was seen.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },

    /// The Postgres server answers, but does not let this program in or do its work.
    #[error(
        "the Postgres server at {server} refuses; check the role, password, database and certificates that \
         the configuration names, and that the role may create its schema"
    )]
    Refused {
        /// Server and database.
        server: Arc<str>,
        /// What the server said.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },

    /// The Postgres server is set up so that what it acknowledged can be lost.
    #[error(
        "the Postgres server at {server} runs with {setting} = {value}; set it to \"on\" and restart the server"
    )]
    NotDurable {
        /// Server and database.
        server: Arc<str>,
        /// The server's setting.
        setting: &'static str,
        /// What it is set to.
        value: String,
    },

    /// Others changed the same rows at the same time, again and again. Nothing was written.
    #[error("the change collided with others again and again")]
    Conflict(#[source] Arc<sqlx::Error>),

    /// The section of the configuration that names the store is at fault.
    #[error("{}", .0.join("; "))]
    Config(Vec<String>),

    /// A unique, foreign key, not-null or check rule of the schema was broken.
    #[error("the schema refused the change")]
    Constraint {
        /// The rule's kind.
        kind: Constraint,
        /// What SQLite said.
        #[source]
        source: Arc<sqlx::Error>,
    },

    /// A statement failed for another reason: a fault in this program, or data of an unexpected type.
    #[error("a statement failed")]
    Statement(#[source] Arc<sqlx::Error>),

    /// No place in the queue became free before the caller's deadline. The work was not and will not be done.
    #[error("the write queue stayed full until the deadline")]
    QueueFull,

    /// The writer is shut down. The work was not done.
    #[error("the writer is shut down")]
    Closed,

    /// The code that was to write panicked. Nothing of it was written.
    #[error("the work panicked")]
    Panicked,

    /// A handler refused its whole group. Nothing of the group was written.
    #[error("the handler refused the group")]
    Handler(#[source] Arc<dyn std::error::Error + Send + Sync>),

    /// A handler answered another number of jobs than it was given. Nothing of the group was written.
    #[error("the handler answered {replies} of {jobs} jobs")]
    Replies {
        /// Jobs handed over.
        jobs: usize,
        /// Replies returned.
        replies: usize,
    },
}

/// Which rule of the schema was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraint {
    /// A primary key or unique index.
    Unique,
    /// A foreign key.
    ForeignKey,
    /// A not-null column.
    NotNull,
    /// A check expression, or another rule.
    Check,
}

impl Error {
    /// A handler's own reason to refuse a whole group.
    pub fn handler(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Handler(Arc::new(source))
    }

    /// True when a unique index or a primary key refused the row.
    pub fn is_unique_violation(&self) -> bool {
        matches!(
            self,
            Self::Constraint {
                kind: Constraint::Unique,
                ..
            }
        )
    }

    /// True when the store may work again later without anybody changing the request.
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::DiskFull { .. }
                | Self::Locked { .. }
                | Self::Io { .. }
                | Self::NotWritable { .. }
                | Self::Corrupt { .. }
                | Self::Unreachable { .. }
                | Self::Refused { .. }
                | Self::Conflict(_)
                | Self::QueueFull
                | Self::Closed
        )
    }

    /// Names the file in an error that a statement on it returned, and sorts it by SQLite's result code.
    #[must_use]
    pub fn located(self, path: &Path) -> Self {
        let Self::Statement(source) = self else {
            return self;
        };
        let path = path.to_path_buf();
        match fault(&source) {
            Some(Fault::Full) => Self::DiskFull { path },
            Some(Fault::Busy) => Self::Locked { path },
            Some(Fault::ReadOnly) => Self::NotWritable { path, source },
            Some(Fault::Corrupt) => Self::Corrupt {
                path,
                detail: source.to_string(),
            },
            Some(Fault::Io) => Self::Io { path, source },
            None => Self::Statement(source),
        }
    }

    /// True when the failure is the file's or the disk's, so that the transaction around it cannot be trusted.
    pub(crate) fn breaks_transaction(&self) -> bool {
        match self {
            Self::Statement(source) => is_fault(source),
            Self::Constraint { .. } | Self::Panicked => false,
            _ => true,
        }
    }

    pub(crate) fn not_writable(path: &Path, source: io::Error) -> Self {
        Self::NotWritable {
            path: path.to_path_buf(),
            source: Arc::new(source),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        let kind = match source.as_database_error().map(|error| error.kind()) {
            Some(ErrorKind::UniqueViolation) => Constraint::Unique,
            Some(ErrorKind::ForeignKeyViolation) => Constraint::ForeignKey,
            Some(ErrorKind::NotNullViolation) => Constraint::NotNull,
            Some(ErrorKind::CheckViolation) => Constraint::Check,
            _ if primary_code(&source) == Some(19) => Constraint::Check,
            _ => return Self::Statement(Arc::new(source)),
        };
        Self::Constraint {
            kind,
            source: Arc::new(source),
        }
    }
}

/// Failures after which SQLite may already have rolled the transaction back by itself
/// (<https://www.sqlite.org/lang_transaction.html>, "Response To Errors Within A Transaction").
enum Fault {
    Full,
    Busy,
    ReadOnly,
    Corrupt,
    Io,
}

/// True when the file or the disk failed, not the statement.
pub(crate) fn is_fault(error: &sqlx::Error) -> bool {
    fault(error).is_some()
}

fn fault(error: &sqlx::Error) -> Option<Fault> {
    match error {
        sqlx::Error::Database(_) => {}
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => return Some(Fault::Io),
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => return Some(Fault::Io),
        _ => return None,
    }
    // Result codes: https://www.sqlite.org/rescode.html
    match primary_code(error)? {
        5 | 6 => Some(Fault::Busy),
        7 | 9 | 10 => Some(Fault::Io),
        8 | 14 => Some(Fault::ReadOnly),
        11 | 26 => Some(Fault::Corrupt),
        13 => Some(Fault::Full),
        _ => None,
    }
}

/// The low byte of SQLite's extended result code.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let error = error.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    let code = error.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

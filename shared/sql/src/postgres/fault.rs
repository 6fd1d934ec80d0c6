//! What Postgres and the way to it say, sorted by what somebody can do about it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::Error;

/// The classes that matter here; codes are in Appendix A of the Postgres manual.
enum Fault {
    /// The connection is gone or was never there; or the server has no time or place for us now.
    Connection,
    /// The server does not let us in, or not do our work.
    Refused,
    /// Another transaction was in the way; doing it again is right.
    Conflict,
    Full,
}

pub(super) fn sort(source: sqlx::Error, server: &Arc<str>) -> Error {
    match fault(&source) {
        Some(Fault::Connection) => unreachable(server, source),
        Some(Fault::Refused) => Error::Refused {
            server: Arc::clone(server),
            source: Arc::new(source),
        },
        Some(Fault::Conflict) => Error::Conflict(Arc::new(source)),
        Some(Fault::Full) => Error::DiskFull {
            path: PathBuf::from(&**server),
        },
        None => source.into(),
    }
}

/// As [`sort`], for an error that a unit of work has wrapped already.
pub(super) fn sorted(error: Error, server: &Arc<str>) -> Error {
    let Error::Statement(source) = error else {
        return error;
    };
    let path = || PathBuf::from(&**server);
    match fault(&source) {
        Some(Fault::Connection) => Error::Unreachable {
            server: Arc::clone(server),
            source,
        },
        Some(Fault::Refused) => Error::Refused {
            server: Arc::clone(server),
            source,
        },
        Some(Fault::Conflict) => Error::Conflict(source),
        Some(Fault::Full) => Error::DiskFull { path: path() },
        None => Error::Statement(source),
    }
}

pub(super) fn unreachable(
    server: &Arc<str>,
    source: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::Unreachable {
        server: Arc::clone(server),
        source: Arc::new(source),
    }
}

pub(super) fn is_connection(error: &sqlx::Error) -> bool {
    matches!(fault(error), Some(Fault::Connection))
}

fn fault(error: &sqlx::Error) -> Option<Fault> {
    let error = match error {
        sqlx::Error::Database(error) => error,
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => return Some(Fault::Connection),
        sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => return Some(Fault::Refused),
        _ => return None,
    };
    let code = error.code()?;
    match &*code {
        "40001" | "40P01" => Some(Fault::Conflict),
        "53100" => Some(Fault::Full),
        // no right, no such database, no such schema
        "42501" | "3D000" | "3F000" => Some(Fault::Refused),
        // a standby that is not yet, or no longer, the one to write to; a statement or lock that took too long
        "25006" | "55P03" | "57014" | "25P03" => Some(Fault::Connection),
        code if code.starts_with("28") => Some(Fault::Refused),
        // connection, resources, operator's intervention, system error
        code if ["08", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            Some(Fault::Connection)
        }
        _ => None,
    }
}

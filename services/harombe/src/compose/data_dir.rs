//! The one directory that everything durable lives in (CONTRACTS §10), and the lock that keeps it to one process.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use harombe_types::ServiceName;

use super::StartError;

/// An opened data directory; locked until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    locks: Vec<Lock>,
}

/// A locked file. Closing it releases the lock, also when the process dies.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // A child that was forked and has not yet come to its exec holds a copy of the descriptor, and with it the lock:
        // closing ours would leave the directory locked for that moment. Unlocking holds for every copy. When it fails,
        // closing is what remains.
        let _ = self.0.unlock();
    }
}

impl Lock {
    /// Locks `dir` for this process: alone, or among others that lock it so.
    fn take(dir: &Path, lock: impl FnOnce(&File) -> Result<(), TryLockError>) -> Result<Self, StartError> {
        let fault = |source| StartError::DataDir {
            path: dir.to_owned(),
            source,
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("lock"))
            .map_err(fault)?;
        match lock(&file) {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StartError::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(fault(source)),
        }
    }
}

/// `sun_path` holds 108 bytes, the last a zero (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

impl DataDir {
    /// `$XDG_DATA_HOME/harombe`, or `~/.local/share/harombe` (XDG Base Directory Specification).
    #[must_use]
    pub fn default_path() -> Option<PathBuf> {
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        absolute("XDG_DATA_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
            .map(|base| base.join("harombe"))
    }

    /// Where a server on that directory listens.
    #[must_use]
    pub fn socket_of(path: &Path) -> PathBuf {
        path.join("harombe.sock")
    }

    /// Makes the directory where it is absent (0700) and locks it, for all services together.
    ///
    /// # Errors
    /// When it cannot be written, is locked by another process, or its socket's path is too long.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        let path = make(path)?;
        let lock = Lock::take(&path, File::try_lock)?;
        Ok(Self {
            path,
            locks: vec![lock],
        })
    }

    /// The same for one service: others may work on their own folders of the directory meanwhile.
    ///
    /// # Errors
    /// When it cannot be written, or is locked by a process of that service or of all.
    pub fn open_for(path: &Path, service: ServiceName) -> Result<Self, StartError> {
        let path = make(path)?;
        let shared = Lock::take(&path, File::try_lock_shared)?;
        let mut data = Self {
            path,
            locks: vec![shared],
        };
        let own = Lock::take(&data.service(service)?, File::try_lock)?;
        data.locks.push(own);
        Ok(data)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn socket(&self) -> PathBuf {
        Self::socket_of(&self.path)
    }

    /// The folder of one service, made where it is absent (0700).
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn service(&self, service: ServiceName) -> Result<PathBuf, StartError> {
        let name = match service {
            ServiceName::SandboxBroker => "broker",
            ServiceName::EgressProxy => "egress",
            other => other.as_str(),
        };
        let path = self.path.join(name);
        match DirBuilder::new().recursive(true).mode(0o700).create(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(StartError::DataDir { path, source }),
        }
    }
}

fn make(path: &Path) -> Result<PathBuf, StartError> {
    let fault = |source| StartError::DataDir {
        path: path.to_owned(),
        source,
    };
    // Before anything is made, and once more when links are resolved.
    fits(&std::path::absolute(path).map_err(fault)?)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(fault)?;
    let path = path.canonicalize().map_err(fault)?;
    fits(&path)?;
    Ok(path)
}

fn fits(data: &Path) -> Result<(), StartError> {
    let path = DataDir::socket_of(data);
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(());
    }
    Err(StartError::SocketPath {
        path,
        max: MAX_SOCKET_PATH,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_while_it_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let open = DataDir::open(&path).unwrap();
        assert!(matches!(DataDir::open(&path), Err(StartError::InUse(_))));
        // As a child has it between fork and exec.
        let _copy = open.locks[0].0.try_clone().unwrap();
        drop(open);
        assert!(DataDir::open(&path).is_ok());
    }

    #[test]
    fn services_share_a_directory_each_alone_in_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let open = |service| DataDir::open_for(dir.path(), service);
        let audit = open(ServiceName::Audit).unwrap();
        let hitl = open(ServiceName::Hitl).unwrap();
        assert!(matches!(open(ServiceName::Hitl), Err(StartError::InUse(path)) if path.ends_with("hitl")));
        assert!(matches!(DataDir::open(dir.path()), Err(StartError::InUse(_))));
        drop((audit, hitl));
        let _all = DataDir::open(dir.path()).unwrap();
        assert!(matches!(open(ServiceName::Hitl), Err(StartError::InUse(_))));
    }

    #[test]
    fn a_path_under_a_file_names_the_fix() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::open(&file.path().join("data")).unwrap_err();
        assert!(error.to_string().contains("--data DIR"), "{error}");
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x".repeat(100));
        let error = DataDir::open(&path).unwrap_err();
        assert!(matches!(error, StartError::SocketPath { .. }), "{error}");
        assert!(!path.exists(), "nothing was made");
    }
}

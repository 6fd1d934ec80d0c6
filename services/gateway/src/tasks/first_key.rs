//! The first key of an installation, which makes all others: in a file for the operator alone.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::key::Bearer;
use crate::domain::keys::{FirstKey, Keys};
use crate::domain::secret::ApiKey;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why there is no first key yet.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    #[error(transparent)]
    Refused(#[from] crate::Error),
    #[error("{} cannot be read or written", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} holds no key of ours; move it away, and start again for a new one", path.display())]
    NotAKey { path: PathBuf },
}

/// Makes the key that `path` is to hold, unless there are keys. Goes on until the store and the log have it: the gateway
/// starts without waiting for either.
pub(crate) async fn first_key(keys: Arc<Keys>, path: PathBuf, bearer: Bearer, stop: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    loop {
        let made = stop.run_until_cancelled(make(&keys, &path, bearer.clone()));
        match made.await {
            None => return,
            Some(Ok(Some(FirstKey::Ready))) => {
                return tracing::info!(path = %path.display(), "the first API key is in force");
            }
            Some(Ok(_)) => return,
            Some(Err(error @ NotYet::NotAKey { .. })) => {
                return tracing::error!(%error, "there is no first API key");
            }
            Some(Err(error)) => tracing::warn!(%error, "the first API key is not in force yet"),
        }
        if stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_none()
        {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn make(keys: &Keys, path: &Path, bearer: Bearer) -> Result<Option<FirstKey>, NotYet> {
    let file = |source| NotYet::File {
        path: path.to_owned(),
        source,
    };
    if let Some(key) = read(path).map_err(file)? {
        let key = key.trim_end().parse().map_err(|_| NotYet::NotAKey {
            path: path.to_owned(),
        })?;
        return Ok(Some(keys.admit_first(&key, bearer).await?));
    }
    if !keys.is_empty().await? {
        return Ok(None);
    }
    // In the file before it is in the store: a key that is in force and that nobody has would be the worst of all.
    let key = ApiKey::generate()?;
    write(path, &key).map_err(file)?;
    let admitted = keys.admit_first(&key, bearer).await?;
    if admitted == FirstKey::NotNeeded {
        // Another gateway was faster; its operator has the file.
        fs::remove_file(path).map_err(file)?;
    }
    Ok(Some(admitted))
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whole and for its owner alone from the moment that it is there; what is there already stays.
fn write(path: &Path, key: &ApiKey) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let draft = directory.join(format!(".admin.key.{}", key.id()));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        writeln!(file, "{}", key.reveal())?;
        file.sync_all()?;
        fs::hard_link(&draft, path)
    })();
    let removed = match fs::remove_file(&draft) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    written.and(removed)?;
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_its_owners_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.key");
        assert_eq!(read(&path).unwrap(), None);
        let key = ApiKey::generate().unwrap();
        write(&path, &key).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap().unwrap().trim_end(), key.reveal());

        let again = write(&path, &ApiKey::generate().unwrap()).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert_eq!(read(&path).unwrap().unwrap().trim_end(), key.reveal());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

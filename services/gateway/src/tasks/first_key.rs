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
    #[error(
        "a key was begun that is not in force; unless it comes into force, another is made an hour later"
    )]
    Begun,
}

/// Makes the key that `path` is to hold, unless there are keys. Goes on until the store and the log have it: the gateway
/// starts without waiting for either.
pub(crate) async fn first_key(keys: Arc<Keys>, path: PathBuf, bearer: Bearer, stop: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    loop {
        let made = stop.run_until_cancelled(make(&keys, &path, bearer.clone()));
        match made.await {
            None => return,
            Some(Ok(FirstKey::Ready)) => {
                return tracing::info!(path = %path.display(), "the first API key is in force");
            }
            Some(Ok(FirstKey::NotNeeded)) => return,
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

async fn make(keys: &Keys, path: &Path, bearer: Bearer) -> Result<FirstKey, NotYet> {
    let file = |source| NotYet::File {
        path: path.to_owned(),
        source,
    };
    if let Some(key) = read(path).map_err(file)? {
        let key = key.trim_end().parse().map_err(|_| NotYet::NotAKey {
            path: path.to_owned(),
        })?;
        return match keys.admit_first(&key, bearer).await? {
            FirstKey::Ready => Ok(FirstKey::Ready),
            FirstKey::NotNeeded => others(keys).await,
        };
    }
    if !keys.is_empty().await? {
        return others(keys).await;
    }
    // In the file before it is in the store: a key that is in force and that nobody has would be the worst of all.
    let key = ApiKey::generate()?;
    write(path, &key).map_err(file)?;
    let admitted = keys.admit_first(&key, bearer).await?;
    if admitted == FirstKey::NotNeeded {
        // Another gateway was faster; its operator has the file.
        fs::remove_file(path).map_err(file)?;
        return others(keys).await;
    }
    Ok(admitted)
}

/// There are other keys. One that is only begun may be that of a gateway that died, and then it never opens anything.
async fn others(keys: &Keys) -> Result<FirstKey, NotYet> {
    if keys.any_in_force().await? {
        return Ok(FirstKey::NotNeeded);
    }
    Err(NotYet::Begun)
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

    use harombe_rpc::TaskSet;
    use harombe_testkit::{AuditSink, TestPki, clock, tenant};
    use harombe_types::{Role, ServiceName, Timestamp};

    use super::*;
    use crate::domain::key::{Key, KeyLimits};
    use crate::store::{First, SqliteStore, Store};

    #[tokio::test]
    async fn a_first_key_whose_gateway_died_keeps_nobody_out_for_good() {
        let (dir, clock, tasks) = (tempfile::tempdir().unwrap(), clock(), TaskSet::new());
        let sink = AuditSink::new(&TestPki::new(clock.clone()), clock.clone());
        let store = SqliteStore::open(&dir.path().join("gateway.db")).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let keys = Keys {
            store: Arc::clone(&store),
            trail: sink.trail(ServiceName::Gateway, clock.clone(), &tasks),
            clock: clock.clone(),
            operator: tenant("local"),
        };
        let bearer = Bearer {
            tenant: tenant("local"),
            name: "first".to_owned(),
            subject: "owner".parse().unwrap(),
            roles: Role::ALL.into(),
            agents: std::collections::BTreeSet::new(),
            allow_self: false,
            limits: KeyLimits::default(),
            expires_at: None,
        };
        let theirs = ApiKey::generate().unwrap();
        let begun = Key {
            id: theirs.id().clone(),
            digest: theirs.digest(),
            bearer: bearer.clone(),
            created_at: keys.clock.now(),
            created_by: "local/owner".to_owned(),
            revoked: None,
        };
        let long_ago = Timestamp::from_millis(0);
        assert_eq!(store.add_first(&begun, long_ago).await.unwrap(), First::Kept);

        let path = dir.path().join("admin.key");
        let tried = make(&keys, &path, bearer.clone()).await;
        assert!(matches!(tried, Err(NotYet::Begun)), "{tried:?}");
        assert!(!path.exists());
        clock.advance(Duration::from_secs(60 * 60 + 1));
        assert_eq!(make(&keys, &path, bearer.clone()).await.unwrap(), FirstKey::Ready);
        let ours: ApiKey = read(&path).unwrap().unwrap().trim_end().parse().unwrap();
        assert!(keys.find(&ours).await.unwrap().is_ok());

        let other = dir.path().join("other.key");
        assert_eq!(make(&keys, &other, bearer).await.unwrap(), FirstKey::NotNeeded);
        assert!(!other.exists());
        store.close().await;
    }

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

//! Secrets in one file beside the data, sealed with age (age-encryption.org/v1) to a key in a file of its own.
//!
//! The seal keeps secrets out of backups and copies that hold one of the two files; whoever reads both reads the secrets.
//! Both are 0600 from their first byte. `age --decrypt -i keys/secrets.key secrets.age` opens it without us.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::{Error, Secret, SecretName, Secrets};

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// What the file holds: names and values, in JSON.
type Table = BTreeMap<SecretName, Zeroizing<String>>;

/// The store in a sealed file. Read anew at every use, so that another process's changes count at once.
#[derive(Clone, Debug)]
pub struct SealedFile {
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    sealed: PathBuf,
    key: PathBuf,
    lock: PathBuf,
}

impl SealedFile {
    /// `secrets.age` in that directory, its key in `keys/secrets.key`. Both are made when the first secret is set.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            places: Arc::new(Places {
                sealed: dir.join("secrets.age"),
                key: dir.join("keys/secrets.key"),
                lock: dir.join("secrets.lock"),
            }),
        }
    }

    /// Files and elliptic curves keep a worker from other work for a moment, so they get a thread of their own.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Places) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let places = Arc::clone(&self.places);
        tokio::task::spawn_blocking(move || work(&places))
            .await
            .map_err(|_| Error::Interrupted)?
    }
}

#[async_trait]
impl Secrets for SealedFile {
    async fn get(&self, name: &SecretName) -> Result<Secret, Error> {
        let name = name.clone();
        self.run(move |places| match places.read()?.remove(&name) {
            Some(text) => Secret::new(text),
            None => Err(Error::NotFound(name)),
        })
        .await
    }

    async fn list(&self) -> Result<Vec<SecretName>, Error> {
        self.run(|places| Ok(places.read()?.into_keys().collect())).await
    }

    async fn set(&self, name: &SecretName, secret: Secret) -> Result<(), Error> {
        let name = name.clone();
        self.run(move |places| {
            let _alone = places.lock()?;
            let mut table = places.read()?;
            table.insert(name, Zeroizing::new(secret.text().to_owned()));
            places.write(&table)
        })
        .await
    }

    async fn remove(&self, name: &SecretName) -> Result<(), Error> {
        let name = name.clone();
        self.run(move |places| {
            let _alone = places.lock()?;
            let mut table = places.read()?;
            match table.remove(&name) {
                Some(_) => places.write(&table),
                None => Err(Error::NotFound(name)),
            }
        })
        .await
    }
}

fn fault(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

impl Places {
    /// No file yet means no secrets yet.
    fn read(&self) -> Result<Table, Error> {
        let sealed = match read_private(&self.sealed) {
            Err(Error::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(Table::new());
            }
            other => other?,
        };
        let cannot = |why| Error::Sealed {
            path: self.sealed.clone(),
            why,
        };
        let plain = age::decrypt(&self.identity()?, &sealed)
            .map_err(|_| cannot("it was changed, or sealed to another key"))?;
        let plain = Zeroizing::new(plain);
        serde_json::from_slice(&plain).map_err(|_| cannot("what it holds is no table of secrets"))
    }

    fn identity(&self) -> Result<Identity, Error> {
        let text = Zeroizing::new(read_private(&self.key)?);
        let text = std::str::from_utf8(&text).unwrap_or_default();
        text.trim().parse().map_err(|_| Error::Sealed {
            path: self.key.clone(),
            why: "it is no age key",
        })
    }

    /// Writes only under [`lock`](Self::lock).
    fn write(&self, table: &Table) -> Result<(), Error> {
        let identity = match self.identity() {
            // A key is made once, and never beside a file that another key sealed.
            Err(Error::File { source, .. })
                if source.kind() == ErrorKind::NotFound && !self.sealed.exists() =>
            {
                self.make_key()?
            }
            other => other?,
        };
        let plain = Zeroizing::new(serde_json::to_vec(table).map_err(|_| Error::Seal)?);
        let sealed = age::encrypt(&identity.to_public(), &plain).map_err(|_| Error::Seal)?;
        replace(&self.sealed, &sealed)
    }

    fn make_key(&self) -> Result<Identity, Error> {
        if let Some(dir) = self.key.parent() {
            make_dir(dir)?;
        }
        let identity = Identity::generate();
        let text = identity.to_string();
        replace(&self.key, format!("{}\n", text.expose_secret()).as_bytes())?;
        Ok(identity)
    }

    /// One writer at a time, whichever process it is in. Released when it is dropped.
    fn lock(&self) -> Result<File, Error> {
        if let Some(dir) = self.lock.parent() {
            make_dir(dir)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&self.lock)
            .map_err(fault(&self.lock))?;
        file.lock().map_err(fault(&self.lock))?;
        Ok(file)
    }
}

fn make_dir(dir: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(fault(dir))
}

/// Reads a file, unless others could have read it too.
fn read_private(path: &Path) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(fault(path))?;
    let about = file.metadata().map_err(fault(path))?;
    if about.mode() & 0o077 != 0 {
        return Err(Error::OpenToOthers(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(fault(path))?;
    Ok(bytes)
}

/// In one step and to the disk, so that a crash leaves the old file or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(fault(&draft)(error)),
        _ => {}
    }
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        match path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(fault(path))
}

#[cfg(test)]
mod tests;

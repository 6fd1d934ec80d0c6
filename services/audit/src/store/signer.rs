//! The log's own key: the secret half in a file that only this user may read, the public half in `keys/verifier.pub`.
//! Instances that share a log share the secret file, or copies of it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use aws_lc_rs::rand;
use harombe_tlog::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::Error;

/// Where the secret half is when no other place is configured, in the directory of keys.
pub(crate) const SIGNER_FILE: &str = "signer.key";
pub(crate) const VERIFIER_FILE: &str = "verifier.pub";
const ORIGIN_PREFIX: &str = "audit.harombe.internal/";

/// Loads the key from `path`, and makes one for a log that is new. A log with entries never gets another key: its
/// checkpoints would no longer verify, and nobody could tell that from a forgery.
pub(super) fn load(path: &Path, is_new: bool) -> Result<SigningKey, Error> {
    let text = secret_file(path, is_new, || {
        let mut name = [0_u8; 8];
        let mut seed = Zeroizing::new([0_u8; 32]);
        rand::fill(&mut name)
            .and_then(|()| rand::fill(seed.as_mut_slice()))
            .map_err(|_| Error::Random)?;
        let origin = format!("{ORIGIN_PREFIX}{:016x}", u64::from_be_bytes(name));
        let key = SigningKey::from_seed(&origin, &seed)?;
        Ok(Zeroizing::new(format!("{}\n", *key.to_secret_text()?)))
    })?;
    SigningKey::parse(text.trim_end()).map_err(|source| Error::Key {
        path: path.to_owned(),
        source,
    })
}

/// The content of the secret file at `path`, which `make` makes when the log `is_new` and nobody else makes it meanwhile.
pub(super) fn secret_file(
    path: &Path,
    is_new: bool,
    make: impl FnOnce() -> Result<Zeroizing<String>, Error>,
) -> Result<Zeroizing<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => return Ok(Zeroizing::new(text)),
        Err(error) if error.kind() == ErrorKind::NotFound && is_new => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::KeyMissing {
                path: path.to_owned(),
            });
        }
        Err(source) => {
            return Err(Error::File {
                path: path.to_owned(),
                source,
            });
        }
    }
    create(path, &make()?)?;
    // Another instance may have been first: what is there now is the secret of both.
    match fs::read_to_string(path) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(source) => Err(Error::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads the public key that lies beside a log.
pub(crate) fn load_verifier(path: &Path) -> Result<VerifyingKey, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    VerifyingKey::parse(text.trim_end()).map_err(|source| Error::Key {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file so that it is there with its whole content or not at all, whatever happens meanwhile.
pub(crate) fn write_whole(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let temporary = path.with_extension("tmp");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.open(&temporary).map_err(failed)?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    sync_directory(path)
}

/// Makes a file with its whole content, unless there is one.
fn create(path: &Path, content: &str) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    private_directory(directory)?;
    let mut name = [0_u8; 8];
    rand::fill(&mut name).map_err(|_| Error::Random)?;
    let temporary = path.with_extension(format!("{:016x}.tmp", u64::from_be_bytes(name)));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&temporary).map_err(failed)?;
    let linked = file
        .write_all(content.as_bytes())
        .and_then(|()| file.sync_all())
        // Unlike a rename, a link does not replace what somebody else has put there.
        .and_then(|()| match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    let removed = fs::remove_file(&temporary);
    linked.and(removed).map_err(failed)?;
    sync_directory(path)
}

fn private_directory(directory: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(|source| Error::File {
        path: directory.to_owned(),
        source,
    })
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| Error::File {
            path: directory.to_owned(),
            source,
        })
}

/// Lays the public half beside the log, where `harombe audit verify` looks for it.
pub(super) fn publish(directory: &Path, key: &VerifyingKey) -> Result<(), Error> {
    let path = directory.join(VERIFIER_FILE);
    private_directory(directory)?;
    if !path.exists() {
        return write_whole(&path, format!("{key}\n").as_bytes(), 0o644);
    }
    if load_verifier(&path)? != *key {
        return Err(Error::OtherKey { path });
    }
    Ok(())
}

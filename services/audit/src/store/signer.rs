//! The log's own key, in `keys/signer.key` (only this user may read it) and `keys/verifier.pub` (for everybody).

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use aws_lc_rs::rand;
use harombe_tlog::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::Error;

const SIGNER_FILE: &str = "signer.key";
pub(crate) const VERIFIER_FILE: &str = "verifier.pub";
const ORIGIN_PREFIX: &str = "audit.harombe.internal/";

/// Loads the key, and makes one for a log that is new. A log with entries never gets another key: its checkpoints would
/// no longer verify, and nobody could tell that from a forgery.
pub(super) fn load(directory: &Path, is_new: bool) -> Result<SigningKey, Error> {
    let path = directory.join(SIGNER_FILE);
    let key = match fs::read_to_string(&path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            SigningKey::parse(text.trim_end()).map_err(|source| Error::Key { path, source })?
        }
        Err(error) if error.kind() == ErrorKind::NotFound && is_new => create(directory)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::KeyMissing { path }),
        Err(source) => return Err(Error::File { path, source }),
    };
    publish(directory, key.verifying_key())?;
    Ok(key)
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
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)
}

fn create(directory: &Path) -> Result<SigningKey, Error> {
    let path = directory.join(SIGNER_FILE);
    let failed = |source| Error::File {
        path: directory.to_owned(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    let mut name = [0_u8; 8];
    let mut seed = Zeroizing::new([0_u8; 32]);
    rand::fill(&mut name)
        .and_then(|()| rand::fill(seed.as_mut_slice()))
        .map_err(|_| Error::Random)?;
    let origin = format!("{ORIGIN_PREFIX}{:016x}", u64::from_be_bytes(name));
    let key = SigningKey::from_seed(&origin, &seed)?;
    let text = Zeroizing::new(format!("{}\n", *key.to_secret_text()?));
    write_whole(&path, text.as_bytes(), 0o600)?;
    Ok(key)
}

fn publish(directory: &Path, key: &VerifyingKey) -> Result<(), Error> {
    let path = directory.join(VERIFIER_FILE);
    if !path.exists() {
        return write_whole(&path, format!("{key}\n").as_bytes(), 0o644);
    }
    if load_verifier(&path)? != *key {
        return Err(Error::OtherKey { path });
    }
    Ok(())
}

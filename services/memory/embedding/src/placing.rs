//! Puts a model into its folder: all files, each with its digest, or nothing. Whoever opens the folder finds the old
//! files or the new ones.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{Error, Known, KnownFile};

/// What says where the files came from.
const MANIFEST: &str = "manifest.json";
/// Longest manifest that is read.
const MAX_MANIFEST: u64 = 64 << 10;

/// A model on its way to its folder. Dropping it leaves everything as it was.
#[derive(Debug)]
pub struct Placing {
    known: &'static Known,
    /// Beside the target, so that a rename is enough.
    temporary: TempDir,
    target: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    model: String,
    digest: String,
    source: String,
}

impl Placing {
    /// Begins to fill the model's folder in `models`, which is made where it is absent.
    ///
    /// # Errors
    /// [`Error::ModelFile`].
    pub fn begin(models: &Path, known: &'static Known) -> Result<Self, Error> {
        fs::create_dir_all(models).map_err(|source| Error::write(models, source))?;
        let temporary = tempfile::Builder::new().prefix(".pull-").tempdir_in(models);
        let temporary = temporary.map_err(|source| Error::write(models, source))?;
        let placing = Self {
            target: models.join(&known.name),
            known,
            temporary,
        };
        fs::create_dir(placing.filling()).map_err(|source| Error::write(placing.filling(), source))?;
        Ok(placing)
    }

    /// A directory on the same disk that goes away with this, for what has to be fetched first.
    ///
    /// # Errors
    /// [`Error::ModelFile`].
    pub fn scratch(&self) -> Result<PathBuf, Error> {
        let path = self.temporary.path().join("scratch");
        fs::create_dir_all(&path).map_err(|source| Error::write(&path, source))?;
        Ok(path)
    }

    fn filling(&self) -> PathBuf {
        self.temporary.path().join("new")
    }

    /// Takes one file, and says after each piece how many bytes of it there are.
    ///
    /// # Errors
    /// [`Error::WrongFile`] when it is not the pinned one, and [`Error::ModelFile`].
    pub fn put(&self, file: &KnownFile, from: impl Read, mut progress: impl FnMut(u64)) -> Result<(), Error> {
        let path = self.filling().join(&file.name);
        let written = |source| Error::write(&path, source);
        let mut out = File::create(&path).map_err(written)?;
        let mut hash = Sha256::new();
        let mut length = 0;
        // one byte more tells that it is too long
        let mut from = from.take(file.bytes + 1);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::read(&file.name, error)),
            };
            let piece = buffer.get(..read).unwrap_or_default();
            hash.update(piece);
            out.write_all(piece).map_err(written)?;
            length += read as u64;
            progress(length);
        }
        let wrong = |why| Error::WrongFile {
            file: file.name.clone(),
            why,
        };
        if length != file.bytes {
            return Err(wrong("has another size than the file that was published"));
        }
        if hex::encode(hash.finalize()) != file.sha256 {
            return Err(wrong("is not the file that was published: its digest is another"));
        }
        out.sync_all().map_err(written)
    }

    /// Puts the folder in its place, and returns its path. `source` says where the files came from.
    ///
    /// # Errors
    /// [`Error::ModelAbsent`] when a file was not put, and [`Error::ModelFile`].
    pub fn finish(self, source: &str) -> Result<PathBuf, Error> {
        let filling = self.filling();
        crate::check(&filling, self.known)?;
        let manifest = Manifest {
            model: self.known.name.clone(),
            digest: self.known.digest(),
            source: source.to_owned(),
        };
        let path = filling.join(MANIFEST);
        let written = serde_json::to_vec_pretty(&manifest)
            .map_err(io::Error::from)
            .and_then(|text| {
                let mut file = File::create(&path)?;
                file.write_all(&text)?;
                file.sync_all()?;
                File::open(&filling)?.sync_all()
            });
        written.map_err(|source| Error::write(&path, source))?;
        let placed = self.replace(&filling).and_then(|()| match self.target.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        });
        placed.map_err(|source| Error::write(&self.target, source))?;
        Ok(self.target)
    }

    /// What was there goes away with the temporary directory.
    fn replace(&self, filling: &Path) -> io::Result<()> {
        if fs::symlink_metadata(&self.target).is_err() {
            return fs::rename(filling, &self.target);
        }
        match renameat_with(CWD, filling, CWD, &self.target, RenameFlags::EXCHANGE) {
            // a file system that cannot exchange
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                fs::rename(&self.target, self.temporary.path().join("old"))?;
                fs::rename(filling, &self.target)
            }
            exchanged => Ok(exchanged?),
        }
    }
}

/// Where the files of a model's folder came from, when the folder says so.
#[must_use]
pub fn manifest_source(folder: &Path) -> Option<String> {
    let mut text = Vec::new();
    let file = File::open(folder.join(MANIFEST)).ok()?;
    file.take(MAX_MANIFEST).read_to_end(&mut text).ok()?;
    Some(serde_json::from_slice::<Manifest>(&text).ok()?.source)
}

//! A model's folder: only regular files of the pinned size and digest are used, and what is used is what was digested.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::{Error, Known, KnownFile};

const NOT_REGULAR: &str = "is not a regular file (a link is not followed)";
const OTHER_SIZE: &str = "has another size than the file that was published";
const OTHER_DIGEST: &str = "is not the file that was published: its digest is another";

/// Reads every file of the model in a folder and compares its digest.
///
/// # Errors
/// [`Error::ModelAbsent`], [`Error::ModelAltered`] or [`Error::ModelFile`] for the first file that is not as it must be.
pub fn check(folder: &Path, known: &Known) -> Result<(), Error> {
    for file in &known.files {
        let mut pinned = Pinned::open(folder, file)?;
        io::copy(&mut pinned, &mut io::sink()).map_err(|source| Error::read(&pinned.path, source))?;
        pinned.finish()?;
    }
    Ok(())
}

/// A file that is digested while it is read. What was read must not be used before `finish` agreed.
pub(crate) struct Pinned {
    pub(crate) path: PathBuf,
    inner: io::Take<File>,
    hash: Sha256,
    sha256: String,
}

impl Pinned {
    pub(crate) fn open(folder: &Path, known: &KnownFile) -> Result<Self, Error> {
        let path = folder.join(&known.name);
        // NONBLOCK: a pipe under that name must not hold us up
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(&path);
        let file = opened.map_err(|source| match Errno::from_io_error(&source) {
            Some(Errno::NOENT | Errno::NOTDIR) => Error::ModelAbsent {
                folder: folder.to_owned(),
                file: known.name.clone(),
            },
            // what NOFOLLOW makes of a link
            Some(Errno::LOOP) => Error::ModelAltered {
                file: path.clone(),
                why: NOT_REGULAR,
            },
            _ => Error::read(&path, source),
        })?;
        let altered = |why| Error::ModelAltered {
            file: path.clone(),
            why,
        };
        let metadata = file.metadata().map_err(|source| Error::read(&path, source))?;
        if !metadata.is_file() {
            return Err(altered(NOT_REGULAR));
        }
        if metadata.len() != known.bytes {
            return Err(altered(OTHER_SIZE));
        }
        Ok(Self {
            inner: file.take(known.bytes),
            hash: Sha256::new(),
            sha256: known.sha256.clone(),
            path,
        })
    }

    /// Reads what is left, and says whether all of it was the pinned file.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let rest = io::copy(&mut self, &mut io::sink());
        rest.map_err(|source| Error::read(&self.path, source))?;
        if self.inner.limit() == 0 && hex::encode(self.hash.finalize()) == self.sha256 {
            Ok(())
        } else {
            Err(Error::ModelAltered {
                file: self.path,
                why: OTHER_DIGEST,
            })
        }
    }

    /// The same fault, for content that makes no sense.
    pub(crate) fn altered(&self) -> Error {
        Error::ModelAltered {
            file: self.path.clone(),
            why: OTHER_DIGEST,
        }
    }
}

impl Read for Pinned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

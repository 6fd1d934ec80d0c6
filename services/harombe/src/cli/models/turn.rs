//! One pull at a time in a folder of models. What one that was broken off has left there goes away with the next.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::super::Error;

/// How the folders of pulls that are under way begin.
const UNDER_WAY: &str = ".pull-";

/// The right to pull models into a folder, until it is dropped.
pub(super) struct Turn {
    _folder: File,
}

impl Turn {
    /// Takes it, and removes what is left of pulls that were broken off.
    ///
    /// # Errors
    /// Somebody else pulls, or the folder cannot be made or read.
    pub(super) fn take(models: &Path) -> Result<Self, Error> {
        let at = |what| {
            move |source| Error::File {
                what,
                path: models.to_owned(),
                source,
            }
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(models);
        made.map_err(at("cannot make"))?;
        let folder = File::open(models).map_err(at("cannot read"))?;
        flock(&folder, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let models = models.display();
            Error::NoModel(format!("another pull is under way in {models}; wait for its end"))
        })?;
        // nobody else pulls, so all of them are leftovers
        for entry in fs::read_dir(models).map_err(at("cannot read"))? {
            let entry = entry.map_err(at("cannot read"))?;
            if entry.file_name().to_string_lossy().starts_with(UNDER_WAY) {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(|source| Error::File {
                    what: "cannot remove",
                    path,
                    source,
                })?;
            }
        }
        Ok(Self { _folder: folder })
    }
}

//! Files on their way in. They are received outside of every workspace, so that no program sees half of one, and what a
//! killed broker had received of them is removed at the next start.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::Workspace;

/// A file that is being received. Dropped before it has its place in a workspace, it is gone.
#[derive(Debug)]
pub struct Incoming {
    pub(super) file: File,
    pub(super) path: PathBuf,
    size: u64,
}

/// Makes the directory, or empties it.
pub(super) fn prepare(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::DirBuilder::new().mode(0o700).create(directory)
}

impl Workspace {
    /// A new, empty file, outside of the workspace until it gets its place. Blocks.
    ///
    /// # Errors
    /// When the host has no room or no descriptors left.
    pub fn incoming(&self) -> io::Result<Incoming> {
        let path = self.incoming.join(Uuid::now_v7().as_simple().to_string());
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Incoming { file, path, size: 0 })
    }
}

impl Incoming {
    /// Adds to its end. Blocks.
    ///
    /// # Errors
    /// When the disk is full, or the host fails.
    pub fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.write_all(data)?;
        self.size = self.size.saturating_add(data.len() as u64);
        Ok(())
    }

    /// Makes sure that what was received is on the disk. Blocks.
    ///
    /// # Errors
    /// When the host fails.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// What was received, in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // One that has its place is no longer here; what cannot be removed now is at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

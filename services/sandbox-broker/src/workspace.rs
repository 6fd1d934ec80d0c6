//! Workspaces: one directory a session, shared between the sandboxes of that session and the broker.
//!
//! The program inside is hostile and may still be running, so nothing it can plant is followed or trusted:
//! every path is resolved by the kernel beneath the workspace, without symlinks (`openat2`), only regular
//! files with a single link are read, and a file is replaced by renaming, never written in place.
//!
//! Beside the workspaces, in the same root, is `.incoming`: what is being received for them.

mod files;
mod incoming;
mod path;
mod place;
mod removal;
mod size;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use uuid::Uuid;

pub(crate) use files::is_disk_full;
pub use files::{Entry, EntryKind, FileError, Listing, OpenFile};
pub use incoming::Incoming;
pub use path::{InvalidPath, WorkspacePath};
pub use size::Usage;

/// All workspaces of one broker.
#[derive(Debug, Clone)]
pub struct Workspaces {
    root: PathBuf,
    owner: u32,
}

/// One session's directory.
#[derive(Debug)]
pub struct Workspace {
    directory: OwnedFd,
    path: PathBuf,
    incoming: PathBuf,
    owner: u32,
}

impl Workspaces {
    /// The workspaces in `root`, which is made if it is absent and closed to everyone else: a sandbox may
    /// leave files there that must not be reachable for other users of this host. `owner` is the user,
    /// and group, that programs in sandboxes have. What was being received when a broker died is removed.
    ///
    /// # Errors
    /// When the directory cannot be made or secured.
    pub fn open(root: &Path, owner: u32) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        fs::set_permissions(root, fs::Permissions::from_mode(0o700))?;
        let all = Self {
            root: root.canonicalize()?,
            owner,
        };
        incoming::prepare(&all.incoming())?;
        Ok(all)
    }

    /// Makes a new, empty workspace.
    ///
    /// # Errors
    /// When it exists already or cannot be made.
    pub fn create(&self, id: Uuid) -> io::Result<Workspace> {
        let path = self.path(id);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        chown(&path, Some(self.owner), Some(self.owner))?;
        self.get(id)?
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// The workspace, or `None` when there is none of that id.
    ///
    /// # Errors
    /// When it is there but cannot be opened.
    pub fn get(&self, id: Uuid) -> io::Result<Option<Workspace>> {
        let path = self.path(id);
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(directory) => Ok(Some(Workspace {
                directory,
                path,
                incoming: self.incoming(),
                owner: self.owner,
            })),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a workspace and everything in it. Removing one that is not there is no error.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn remove(&self, id: Uuid) -> io::Result<()> {
        // Not `fs::remove_dir_all`: its stack and its descriptors grow with the depth of the tree, which is
        // the program's choice.
        let root = fs::File::open(&self.root)?;
        Ok(removal::remove_tree(root, &id.as_hyphenated().to_string())?)
    }

    fn incoming(&self) -> PathBuf {
        self.root.join(".incoming")
    }

    fn path(&self, id: Uuid) -> PathBuf {
        self.root.join(id.as_hyphenated().to_string())
    }
}

impl Workspace {
    /// Its directory on the host: what is bound to `/workspace`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Another handle to the same workspace.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        let directory = self.directory.try_clone()?;
        Ok(Self {
            directory,
            path: self.path.clone(),
            incoming: self.incoming.clone(),
            owner: self.owner,
        })
    }
}

#[cfg(test)]
mod tests;

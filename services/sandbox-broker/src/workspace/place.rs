//! Giving a received file its place, while a hostile program may be changing what is around it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::files::{BENEATH, plain_file, refused};
use super::{FileError, Incoming, Workspace, WorkspacePath};

impl Workspace {
    /// Writes a file whole or not at all, as [`Workspace::place`] does. Blocks.
    ///
    /// # Errors
    /// Those of [`Workspace::place`].
    pub fn write(&self, path: &WorkspacePath, contents: &[u8], quota: u64) -> Result<(), FileError> {
        let received = self.incoming().and_then(|mut incoming| {
            incoming.write(contents)?;
            Ok(incoming)
        });
        self.place(
            path,
            &received.map_err(|source| FileError::io(path, source))?,
            quota,
        )
    }

    /// Gives a received file its place, making the directories above it. An existing plain file is replaced. The file
    /// belongs to the sandbox's user. Two at a time might together be more than `quota`. Blocks.
    ///
    /// # Errors
    /// When the name is taken by something else, or the workspace would hold more than `quota` bytes.
    pub fn place(&self, path: &WorkspacePath, incoming: &Incoming, quota: u64) -> Result<(), FileError> {
        if !self.has_room(incoming.size(), quota) {
            return Err(FileError::Full { limit: quota });
        }
        let (parents, name) = path.split();
        let directory = self.make_directories(path, &parents)?;
        match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => plain_file(path, &stat)?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(refused(path, errno)),
        }
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let placed = self
            .give_away(&incoming.file, mode)
            .and_then(|()| rustix::fs::renameat(CWD, &incoming.path, &directory, name));
        placed.map_err(|errno| match errno {
            Errno::ISDIR => FileError::IsDirectory(path.clone()),
            errno => FileError::io(path, io::Error::from(errno)),
        })
    }

    /// Whether `size` more bytes are within `quota`. Blocks.
    #[must_use]
    pub fn has_room(&self, size: u64, quota: u64) -> bool {
        quota
            .checked_sub(size)
            .is_some_and(|rest| !self.usage().exceeds(rest))
    }

    /// Opens the innermost of `parents`, making those that are missing.
    fn make_directories(&self, path: &WorkspacePath, parents: &[&str]) -> Result<OwnedFd, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open =
            |parent: &OwnedFd, name: &str| rustix::fs::openat2(parent, name, flags, Mode::empty(), BENEATH);
        let mut directory = open(&self.directory, ".").map_err(|errno| refused(path, errno))?;
        for name in parents {
            let below = match open(&directory, name) {
                Err(Errno::NOENT) => {
                    let mode = Mode::RWXU | Mode::RGRP | Mode::XGRP;
                    match rustix::fs::mkdirat(&directory, *name, mode) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(refused(path, errno)),
                    }
                    let made = open(&directory, name);
                    if let Ok(made) = &made {
                        self.give_away(made, mode).map_err(|errno| refused(path, errno))?;
                    }
                    made
                }
                opened => opened,
            };
            directory = below.map_err(|errno| refused(path, errno))?;
        }
        Ok(directory)
    }

    /// To the sandbox's user, with exactly this mode whatever the broker's umask is.
    fn give_away(&self, file: impl AsFd, mode: Mode) -> rustix::io::Result<()> {
        rustix::fs::fchmod(&file, mode)?;
        rustix::fs::fchown(
            file,
            Some(Uid::from_raw(self.owner)),
            Some(Gid::from_raw(self.owner)),
        )
    }
}

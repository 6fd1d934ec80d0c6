//! Reading, writing and listing the files of a workspace while a hostile program may be changing them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use uuid::Uuid;

use super::{Workspace, WorkspacePath};

/// What nothing in a workspace may make the kernel do while it resolves a path.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// Why a file could not be read, written or listed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is nothing of that name.
    #[error("{0} does not exist")]
    NotFound(WorkspacePath),
    /// A symlink, a pipe, a device, a socket, or a file with several links; or one of these on the way.
    #[error("{0} is not a plain file or directory, and nothing else is opened")]
    NotPlain(WorkspacePath),
    /// A directory where a file is meant, or the other way round.
    #[error("{0} is a directory")]
    IsDirectory(WorkspacePath),
    /// A file where a directory is meant.
    #[error("{0} is not a directory")]
    NotDirectory(WorkspacePath),
    /// Larger than the caller takes.
    #[error("{path} has {size} bytes, more than the {limit} that can be read at once")]
    TooLarge {
        /// Which file.
        path: WorkspacePath,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The workspace would hold more than it may.
    #[error("the workspace is full: it may hold {limit} bytes")]
    Full {
        /// What it may hold, in bytes.
        limit: u64,
    },
    /// The disk that all workspaces are on has no room.
    #[error("the disk of the workspaces is full; whoever operates the sandbox broker must free space on it")]
    DiskFull,
    /// The host failed.
    #[error("could not access {path}")]
    Io {
        /// Which file.
        path: WorkspacePath,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// By name.
    pub entries: Vec<Entry>,
    /// There is more than was asked for.
    pub truncated: bool,
}

/// One thing in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes, 0 for what is not a file.
    pub size: u64,
}

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else: listed, but never opened.
    Other,
}

impl FileError {
    fn io(path: &WorkspacePath, source: io::Error) -> Self {
        if is_disk_full(&source) {
            return Self::DiskFull;
        }
        Self::Io {
            path: path.clone(),
            source,
        }
    }
}

/// Whether the host's disk, or this service's share of it, has no room.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

impl Workspace {
    /// The whole file.
    ///
    /// # Errors
    /// When it is not a plain file or larger than `limit` bytes.
    pub fn read(&self, path: &WorkspacePath, limit: u64) -> Result<Vec<u8>, FileError> {
        // Without O_NONBLOCK opening a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = self.open(path, flags)?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| refused(path, errno))?;
        plain_file(path, &stat)?;
        let too_large = |size| FileError::TooLarge {
            path: path.clone(),
            size,
            limit,
        };
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if size > limit {
            return Err(too_large(size));
        }
        let mut contents = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // It may grow while it is read, so the size above is only a hint.
        File::from(file)
            .take(limit.saturating_add(1))
            .read_to_end(&mut contents)
            .map_err(|source| FileError::io(path, source))?;
        let got = contents.len() as u64;
        if got > limit {
            Err(too_large(got))
        } else {
            Ok(contents)
        }
    }

    /// Writes a file whole or not at all, making the directories above it. An existing plain file is
    /// replaced. The file belongs to the sandbox's user.
    ///
    /// # Errors
    /// When the name is taken by something else, or the workspace would hold more than `quota` bytes.
    pub fn write(&self, path: &WorkspacePath, contents: &[u8], quota: u64) -> Result<(), FileError> {
        let used = self.usage();
        if used.exceeds(quota.saturating_sub(contents.len() as u64)) {
            return Err(FileError::Full { limit: quota });
        }
        let (parents, name) = path.split();
        let directory = self.make_directories(path, &parents)?;
        match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => plain_file(path, &stat)?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(refused(path, errno)),
        }
        // The name cannot be guessed, so the running program cannot have something lie in wait under it;
        // and if it did, O_EXCL would refuse it.
        let temporary = format!(".harombe-{}", Uuid::now_v7().as_simple());
        let written = self.write_new(&directory, &temporary, contents).and_then(|()| {
            rustix::fs::renameat(&directory, &*temporary, &directory, name).map_err(Into::into)
        });
        written.map_err(|source| {
            // What is left behind counts against the workspace's quota and is seen in a listing.
            let _ = rustix::fs::unlinkat(&directory, &*temporary, AtFlags::empty());
            match source.raw_os_error() {
                Some(libc::EISDIR) => FileError::IsDirectory(path.clone()),
                _ => FileError::io(path, source),
            }
        })
    }

    /// The entries of a directory, at most `most` of them.
    ///
    /// # Errors
    /// When it is not a directory.
    pub fn list(&self, path: &WorkspacePath, most: usize) -> Result<Listing, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = self.open(path, flags)?;
        let reading = Dir::read_from(&directory).map_err(|errno| refused(path, errno))?;
        let mut entries = Vec::new();
        for entry in reading {
            let entry = entry.map_err(|errno| refused(path, errno))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if entries.len() == most {
                return Ok(sorted(entries, true));
            }
            match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => entries.push(Entry::new(name.to_string_lossy().into_owned(), &stat)),
                // Removed in the meantime.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(refused(path, errno)),
            }
        }
        Ok(sorted(entries, false))
    }

    fn open(&self, path: &WorkspacePath, flags: OFlags) -> Result<OwnedFd, FileError> {
        rustix::fs::openat2(&self.directory, path.as_str(), flags, Mode::empty(), BENEATH)
            .map_err(|errno| refused(path, errno))
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
                    match rustix::fs::mkdirat(&directory, *name, Mode::RWXU | Mode::RGRP | Mode::XGRP) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(refused(path, errno)),
                    }
                    let made = open(&directory, name);
                    if let Ok(made) = &made {
                        self.give_away(made).map_err(|errno| refused(path, errno))?;
                    }
                    made
                }
                opened => opened,
            };
            directory = below.map_err(|errno| refused(path, errno))?;
        }
        Ok(directory)
    }

    fn write_new(&self, directory: &OwnedFd, name: &str, contents: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let mut file = File::from(rustix::fs::openat2(directory, name, flags, mode, BENEATH)?);
        file.write_all(contents)?;
        self.give_away(&file)?;
        Ok(())
    }

    fn give_away(&self, file: impl AsFd) -> rustix::io::Result<()> {
        rustix::fs::fchown(
            file,
            Some(Uid::from_raw(self.owner)),
            Some(Gid::from_raw(self.owner)),
        )
    }
}

impl Entry {
    fn new(name: String, stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => EntryKind::File,
            FileType::Directory => EntryKind::Directory,
            _ => EntryKind::Other,
        };
        let size = if kind == EntryKind::File {
            u64::try_from(stat.st_size).unwrap_or(0)
        } else {
            0
        };
        Self { name, kind, size }
    }
}

fn sorted(mut entries: Vec<Entry>, truncated: bool) -> Listing {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Listing { entries, truncated }
}

/// A second link could be to a file that lies outside, if a sandbox ever got that far.
fn plain_file(path: &WorkspacePath, stat: &Stat) -> Result<(), FileError> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_nlink == 1 => Ok(()),
        FileType::Directory => Err(FileError::IsDirectory(path.clone())),
        _ => Err(FileError::NotPlain(path.clone())),
    }
}

fn refused(path: &WorkspacePath, errno: Errno) -> FileError {
    match errno {
        Errno::NOENT => FileError::NotFound(path.clone()),
        // LOOP: a symlink. XDEV: out of the workspace. NXIO: a socket, or a pipe without a reader.
        Errno::LOOP | Errno::XDEV | Errno::NXIO => FileError::NotPlain(path.clone()),
        Errno::NOTDIR => FileError::NotDirectory(path.clone()),
        Errno::ISDIR => FileError::IsDirectory(path.clone()),
        errno => FileError::io(path, errno.into()),
    }
}

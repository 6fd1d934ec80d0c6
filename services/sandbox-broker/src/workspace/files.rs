//! Reading and listing the files of a workspace while a hostile program may be changing them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use bytes::{Bytes, BytesMut};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::{Workspace, WorkspacePath};

/// What nothing in a workspace may make the kernel do while it resolves a path.
pub(super) const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);
/// Most bytes that are read at once.
const PART: usize = 256 << 10;

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

/// A file that is being read. The program may go on writing it, so what is read is never more than was allowed.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    path: WorkspacePath,
    read: u64,
    limit: u64,
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
    pub(super) fn io(path: &WorkspacePath, source: io::Error) -> Self {
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

impl OpenFile {
    /// The next bytes, or `None` at the end. Blocks.
    ///
    /// # Errors
    /// When the file has grown beyond its limit, or the host fails.
    pub fn next_part(&mut self) -> Result<Option<Bytes>, FileError> {
        let mut part = BytesMut::zeroed(PART);
        let got = loop {
            match self.file.read(&mut part) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|source| FileError::io(&self.path, source))?,
            }
        };
        self.read = self.read.saturating_add(got as u64);
        if self.read > self.limit {
            return Err(self.too_large(self.read));
        }
        part.truncate(got);
        Ok((got > 0).then(|| part.freeze()))
    }

    fn too_large(&self, size: u64) -> FileError {
        FileError::TooLarge {
            path: self.path.clone(),
            size,
            limit: self.limit,
        }
    }
}

impl Workspace {
    /// Opens a plain file of at most `limit` bytes, to be read part by part.
    ///
    /// # Errors
    /// When it is not a plain file or larger than `limit`.
    pub fn open_file(&self, path: &WorkspacePath, limit: u64) -> Result<OpenFile, FileError> {
        // Without O_NONBLOCK opening a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = self.open(path, flags)?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| refused(path, errno))?;
        plain_file(path, &stat)?;
        let open = OpenFile {
            file: File::from(file),
            path: path.clone(),
            read: 0,
            limit,
        };
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if size > limit {
            Err(open.too_large(size))
        } else {
            Ok(open)
        }
    }

    /// The whole file.
    ///
    /// # Errors
    /// When it is not a plain file or larger than `limit` bytes.
    pub fn read(&self, path: &WorkspacePath, limit: u64) -> Result<Vec<u8>, FileError> {
        let mut file = self.open_file(path, limit)?;
        let mut contents = Vec::new();
        while let Some(part) = file.next_part()? {
            contents.extend_from_slice(&part);
        }
        Ok(contents)
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
pub(super) fn plain_file(path: &WorkspacePath, stat: &Stat) -> Result<(), FileError> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_nlink == 1 => Ok(()),
        FileType::Directory => Err(FileError::IsDirectory(path.clone())),
        _ => Err(FileError::NotPlain(path.clone())),
    }
}

pub(super) fn refused(path: &WorkspacePath, errno: Errno) -> FileError {
    match errno {
        Errno::NOENT => FileError::NotFound(path.clone()),
        // LOOP: a symlink. XDEV: out of the workspace. NXIO: a socket, or a pipe without a reader.
        Errno::LOOP | Errno::XDEV | Errno::NXIO => FileError::NotPlain(path.clone()),
        Errno::NOTDIR => FileError::NotDirectory(path.clone()),
        Errno::ISDIR => FileError::IsDirectory(path.clone()),
        errno => FileError::io(path, errno.into()),
    }
}

//! How much a workspace holds.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{Workspace, Workspaces};

/// Most entries that are counted; a workspace with more is full whatever their size.
const MAX_ENTRIES: u64 = 200_000;
/// Deepest directory that is entered: programs may nest deeper than the broker has descriptors for.
const MAX_DEPTH: usize = 64;

/// What a workspace holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on disk of files, directories and links.
    pub bytes: u64,
    /// How many there are.
    pub entries: u64,
    /// There are more entries, or deeper directories, than are counted, or some that cannot be.
    pub uncounted: bool,
}

impl Usage {
    /// Whether this is more than `limit` bytes, or too much to tell.
    #[must_use]
    pub const fn exceeds(&self, limit: u64) -> bool {
        self.uncounted || self.bytes > limit
    }

    fn enter(&mut self, open: &mut Vec<Dir>, directory: rustix::io::Result<Dir>) {
        match directory {
            Ok(directory) => open.push(directory),
            // Removed, or replaced by something else, in the meantime.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(_) => self.uncounted = true,
        }
    }
}

impl Workspaces {
    /// Bytes that the disk which they are on still has room for. Blocks.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn room(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.root)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

impl Workspace {
    /// Measures it. What changes meanwhile is left out or counted twice: a program may be running, and the
    /// next measurement corrects it. What is there and cannot be read makes it [`Usage::uncounted`].
    #[must_use]
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        let mut open: Vec<Dir> = Vec::new();
        usage.enter(&mut open, Dir::read_from(&self.directory));
        loop {
            let depth = open.len();
            let Some(directory) = open.last_mut() else {
                return usage;
            };
            let Some(entry) = directory.read() else {
                open.pop();
                continue;
            };
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(handle) = directory.fd() else { continue };
            let Ok(stat) = rustix::fs::statat(handle, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            // Blocks are of 512 bytes whatever the file system's own are (stat(2)).
            usage.bytes += u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
            usage.entries += 1;
            if usage.entries > MAX_ENTRIES {
                usage.uncounted = true;
                return usage;
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                if depth >= MAX_DEPTH {
                    usage.uncounted = true;
                    return usage;
                }
                let below = open_directory(handle, name).and_then(Dir::new);
                usage.enter(&mut open, below);
            }
        }
    }
}

fn open_directory(parent: impl AsFd, name: &std::ffi::CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(parent, name, flags, Mode::empty(), resolve)
}

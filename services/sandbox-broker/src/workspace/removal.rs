//! Removing what a program left behind, however deep it nested it: neither the stack nor the descriptors
//! that are needed grow with the depth.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::{Errno, Result};
use uuid::Uuid;

/// How many names are read before what they name is removed: a directory is not changed while it is read.
const BATCH: usize = 1024;

/// Removes the directory `name` of `parent` with everything in it. What is not there is no error; symlinks
/// are removed, never followed.
pub(super) fn remove_tree(parent: impl AsFd, name: &str) -> Result<()> {
    let top = match open_directory(&parent, name) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let mut lifted = Lifted::new();
    empty(&top, |inner| {
        let directory = open_directory(&top, inner)?;
        // Directories come up to the top instead of being descended into: it is emptied until it has none.
        empty(&directory, |below| {
            rustix::fs::renameat(&directory, below, &top, lifted.next_name())
        })?;
        remove_directory(&top, inner)
    })?;
    remove_directory(parent, name)
}

/// Names that nothing in the workspace has.
struct Lifted {
    prefix: String,
    count: u64,
}

impl Lifted {
    fn new() -> Self {
        Self {
            prefix: format!(".harombe-{}", Uuid::now_v7().as_simple()),
            count: 0,
        }
    }

    fn next_name(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.prefix, self.count)
    }
}

/// Removes everything in `directory`; a directory in it that is not empty is left to `full`, which takes it away.
fn empty(directory: &OwnedFd, mut full: impl FnMut(&CString) -> Result<()>) -> Result<()> {
    loop {
        let names = some_names(directory)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            match rustix::fs::unlinkat(directory, &name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::ISDIR) => {}
                Err(error) => return Err(error),
            }
            match remove_directory(directory, &name) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => full(&name)?,
                removed => removed?,
            }
        }
    }
}

fn some_names(directory: &OwnedFd) -> Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
        if names.len() == BATCH {
            break;
        }
    }
    Ok(names)
}

fn open_directory(parent: impl AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn remove_directory(parent: impl AsFd, name: impl rustix::path::Arg) -> Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

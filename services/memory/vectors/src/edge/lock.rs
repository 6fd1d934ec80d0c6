//! One process has the folder: two engines that write the same files destroy them.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::Error;

const FILE: &str = "lock";
/// What is read of a lock file: more is none of ours.
const LONGEST: u64 = 256;

/// The folder is ours until this is dropped, or the process ends however it does.
#[derive(Debug)]
pub(super) struct FolderLock(
    #[expect(dead_code, reason = "held, not read: closing it gives the lock up")] File,
);

impl FolderLock {
    /// # Errors
    /// [`Error::Locked`] with who has it.
    pub(super) fn take(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("cannot open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(Error::Locked {
                    folder: folder.to_owned(),
                    owner: owner(&file),
                });
            }
            Err(error) => return Err(Error::io("cannot lock", &path)(error.into())),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", us()));
        written.map_err(Error::io("cannot write", &path))?;
        Ok(Self(file))
    }
}

fn us() -> String {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(Path::file_name);
    let program = program.map_or_else(|| "a program".into(), |name| name.to_string_lossy());
    format!("process {} ({program})", std::process::id())
}

fn owner(file: &File) -> String {
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    match read {
        Ok(_) if !text.is_empty() => text,
        _ => "another process".to_owned(),
    }
}

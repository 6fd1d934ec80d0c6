//! Key material on disk: private files are 0600 from their first byte, directories 0700.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::Error;

fn fault(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

pub(crate) fn create_dir(dir: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(fault(dir))
}

/// Replaces the file in one step, so that a crash leaves the old one or the new one.
pub(crate) fn write(path: &Path, mode: u32, text: &str) -> Result<(), Error> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = Path::new(&draft);
    match fs::remove_file(draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fault(draft)(error)),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(draft)
        .map_err(fault(draft))?;
    file.write_all(text.as_bytes()).map_err(fault(draft))?;
    file.sync_all().map_err(fault(draft))?;
    fs::rename(draft, path).map_err(fault(path))
}

pub(crate) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(fault(path))
}

/// Reads a private file, unless others could have read it too.
pub(crate) fn read_private(path: &Path) -> Result<String, Error> {
    let mode = fs::metadata(path).map_err(fault(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::OpenToOthers {
            path: path.to_owned(),
        });
    }
    read(path)
}

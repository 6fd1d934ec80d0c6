//! Folders of collections: what is put aside, removed and copied.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use harombe_types::Timestamp;

use crate::{Error, check};

/// Begins the names of folders that are on their way in or out; what an interrupted run left of them is removed.
const PASSING: &str = ".passing-";
/// Stands between a collection's name and the time at which it was put aside. No name has a full stop.
const ASIDE: &str = ".corrupt-";

/// The names of the collections in `home`.
pub(super) fn names(home: &Path) -> Result<Vec<String>, Error> {
    let mut names: Vec<_> = entries(home)?
        .into_iter()
        .filter(|name| check::is_name(name) && home.join(name).is_dir())
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// Removes what an earlier run left half done.
pub(super) fn sweep(home: &Path) -> Result<(), Error> {
    for name in entries(home)? {
        if name.starts_with(PASSING) {
            remove_all(&home.join(name))?;
        }
    }
    Ok(())
}

/// Keeps a folder that cannot be used for whoever wants to know why, until it has been made again, and removes the one that
/// was kept before it.
pub(super) fn put_aside(home: &Path, name: &str, now: Timestamp) -> Result<(), Error> {
    let mark = format!("{name}{ASIDE}");
    let before: Vec<_> = entries(home)?
        .into_iter()
        .filter(|entry| entry.starts_with(&mark))
        .collect();
    let aside = format!("{mark}{}", now.as_millis());
    for entry in before {
        remove_all(&home.join(entry))?;
    }
    rename(&home.join(name), &home.join(aside))
}

/// Removes all folders that were put aside: they have vectors of what may have been erased since.
pub(super) fn remove_put_aside(home: &Path) -> Result<(), Error> {
    for name in entries(home)? {
        if name.contains(ASIDE) {
            remove_all(&home.join(name))?;
        }
    }
    Ok(())
}

/// Removes a collection's folder, or none, at once: it is not found half there by the next start.
pub(super) fn remove(home: &Path, name: &str) -> Result<(), Error> {
    let folder = home.join(name);
    if !folder.exists() {
        return Ok(());
    }
    let passing = passing(home, name);
    if passing.exists() {
        remove_all(&passing)?;
    }
    rename(&folder, &passing)?;
    remove_all(&passing)
}

/// Where something may lie in `home` until it is in its place.
pub(super) fn passing(home: &Path, name: &str) -> PathBuf {
    home.join(format!("{PASSING}{name}"))
}

/// Copies all files under `from`; they are durable when it returns. `to` is made, and must not be there.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir(to).map_err(Error::io("cannot make", to))?;
    for name in entries(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        if source.is_dir() {
            copy(&source, &target)?;
        } else {
            let copied = fs::copy(&source, &target).and_then(|_| File::open(&target)?.sync_all());
            copied.map_err(Error::io("cannot copy", &source))?;
        }
    }
    sync(to)
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::io("cannot rename", from))?;
    to.parent().map_or(Ok(()), sync)
}

pub(super) fn remove_all(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("cannot remove", folder)(error))
        }
        _ => Ok(()),
    }
}

fn sync(folder: &Path) -> Result<(), Error> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(Error::io("cannot write", folder))
}

fn entries(folder: &Path) -> Result<Vec<String>, Error> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    read().map_err(Error::io("cannot read", folder))
}

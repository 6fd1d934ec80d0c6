//! The engine's log of operations. This version of the engine writes it and never reads or shortens it; what counts is what
//! was flushed to its segments. Only the number of the last operation must not go back: the engine takes an operation whose
//! number it has seen for one that it has done.

use std::fs;
use std::path::Path;

use crate::Error;

/// Bytes of one file of the log; it is made of this size.
pub(super) const FILE: usize = 4 << 20;
const FOLDER: &str = "wal";
const CLOSED: &str = "closed-";

/// How many files of the log are full.
pub(super) fn full(shard: &Path) -> usize {
    closed(shard).len()
}

/// Removes all files of the log that are full, but for the last. The shard must not be open.
pub(super) fn shorten(shard: &Path) -> Result<(), Error> {
    let mut files = closed(shard);
    files.sort_unstable();
    files.pop();
    for (_, name) in files {
        let path = shard.join(FOLDER).join(name);
        fs::remove_file(&path).map_err(Error::io("cannot remove", &path))?;
    }
    Ok(())
}

/// The full files, each with the number of its first operation.
fn closed(shard: &Path) -> Vec<(u64, String)> {
    let Ok(entries) = fs::read_dir(shard.join(FOLDER)) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter_map(|name| Some((name.strip_prefix(CLOSED)?.parse().ok()?, name)))
        .collect()
}

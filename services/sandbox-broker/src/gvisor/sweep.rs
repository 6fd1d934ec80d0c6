//! What a broker that was killed left behind, taken away at the next start.

use std::fs;
use std::io;
use std::path::Path;

use super::cgroup::Paths;
use super::undertaker::{GROUPS, Remains};

/// Kills and removes every sandbox that has a directory in `sandboxes`.
pub(super) fn sweep(sandboxes: &Path) -> io::Result<()> {
    for entry in fs::read_dir(sandboxes)? {
        let directory = entry?.path();
        // The groups are written down before they are made: no file, no groups.
        let groups = fs::read_to_string(directory.join(GROUPS)).unwrap_or_default();
        tracing::info!(directory = %directory.display(), "removing a sandbox that an earlier broker left");
        Remains {
            groups: Paths::parse(&groups),
            directory,
        }
        .bury()?;
    }
    Ok(())
}

//! The guest program, carried inside this one so that the broker is a single file.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The static program that is process 1 in every sandbox; see the crate `harombe-guest`.
const PROGRAM: &[u8] = include_bytes!(env!("HAROMBE_GUEST"));

/// Writes the guest to `path`, executable and read-only.
pub(crate) fn install(path: &Path) -> io::Result<()> {
    fs::write(path, PROGRAM)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o555))
}

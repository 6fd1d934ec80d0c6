//! Reading a log without the service: for an operator at the machine, on a log in use or on a copy of one.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::Error;
pub use crate::domain::{Filter, Leaf};
pub use crate::log::Entry;
use crate::log::Files;
use crate::store::{CHECKPOINT_FILE, KEYS_DIRECTORY, LOG_FILE, VERIFIER_FILE};

/// At most `limit` entries that match `filter`, from index `from` on, with their details opened where the keys are there;
/// and the index to go on from when there may be more.
pub async fn query(
    directory: &Path,
    filter: &Filter,
    from: u64,
    limit: usize,
) -> Result<(Vec<Entry>, Option<u64>), Error> {
    Files::open(directory).await?.find(filter, from, limit).await
}

/// Copies a log, in use or not, as of one moment: everything that verification reads, and neither the signing key nor the
/// keys to the details. `target` must be a directory that holds no log.
pub async fn copy(directory: &Path, target: &Path) -> Result<(), Error> {
    let keys = target.join(KEYS_DIRECTORY);
    fs::create_dir_all(&keys).map_err(|source| Error::File { path: keys, source })?;
    let verifier = Path::new(KEYS_DIRECTORY).join(VERIFIER_FILE);
    // Before the database: a copied checkpoint may lag behind the copied log, and must not lead it.
    for name in [Path::new(CHECKPOINT_FILE), &verifier] {
        match fs::copy(directory.join(name), target.join(name)) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(Error::File {
                    path: directory.join(name),
                    source,
                });
            }
            _ => {}
        }
    }
    Files::open(directory)
        .await?
        .copy_to(&target.join(LOG_FILE))
        .await
}

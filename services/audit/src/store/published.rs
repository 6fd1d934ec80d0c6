//! The newest checkpoint as a file of its own: what shows that a log was put back to an earlier state as a whole.

use std::path::Path;

use harombe_tlog::{Checkpoint, VerifyingKey};

use super::{CHECKPOINT_FILE, Head, Reader};
use crate::Error;

/// The file may lag behind the log and never lead it: a log that is shorter was rolled back.
pub(super) async fn check(
    directory: &Path,
    reader: &dyn Reader,
    head: &Head,
    key: &VerifyingKey,
) -> Result<(), Error> {
    let path = directory.join(CHECKPOINT_FILE);
    let note = match std::fs::read(&path) {
        Ok(note) => note,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::File { path, source }),
    };
    let published = Checkpoint::open(&note, key)
        .map_err(|error| Error::Damaged(format!("{}: {error}", path.display())))?;
    let size = published.size();
    if size > head.size() {
        let found = head.size();
        return Err(Error::Damaged(format!(
            "{size} entries were published, the log has {found}"
        )));
    }
    if size == 0 {
        return Ok(());
    }
    let signed = reader.checkpoint(size).await?;
    match signed.map(|note| Checkpoint::open(note.as_bytes(), key)) {
        Some(Ok(signed)) if signed == published => Ok(()),
        _ => Err(Error::Damaged(format!(
            "the log has another history than the one published at {size} entries"
        ))),
    }
}

//! Reading a log without the service: for an operator at the machine, on a log in use or on a copy of one.

use std::path::Path;

use crate::Error;
pub use crate::domain::{Filter, Leaf};
pub use crate::log::Entry;
use crate::log::Files;

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

//! Where the log is kept, behind ports: nothing outside this module names SQL, and what the log *is* (numbers, leaves,
//! tree, checkpoints, sealing) is written once, here and in the domain, for every database.
//!
//! [`Store`] and [`Reader`] are the log, `DataKeys` the keys that open details, [`Index`] the derived query index.
//! `sqlite` keeps them in three files, `postgres` in two schemas of one database.

#[cfg(test)]
mod contract;
mod data_keys;
mod group;
mod head;
mod index;
mod ledger;
mod open;
mod port;
pub(crate) mod postgres;
mod proofs;
mod published;
mod signer;
mod snapshot;
pub(crate) mod sqlite;

use harombe_types::ServiceName;

use crate::domain::Draft;
pub(crate) use data_keys::{DataKeys, Opener};
pub(crate) use head::Head;
pub(crate) use ledger::Appended;
pub(crate) use open::{Opened, Place, open};
pub(crate) use port::{Index, Reader, Row, Store, Term};
pub(crate) use proofs::{consistency, inclusion};
pub(crate) use signer::{SIGNER_FILE, VERIFIER_FILE, load_verifier, write_whole};
pub(crate) use snapshot::Snapshot;

/// The newest signed checkpoint, as a file of its own beside the database: a log that was rolled back is shorter than it.
pub(crate) const CHECKPOINT_FILE: &str = "checkpoint";
pub(crate) const KEYS_DIRECTORY: &str = "keys";
/// The key that wraps data keys, in the directory of keys, when no other place is configured.
const WRAPPING_FILE: &str = "wrapping.key";

/// Whose turn it is in the queue: one noisy service or tenant waits for itself only.
pub(crate) type Lane = (ServiceName, String);

/// Services take turns, and within one of them its tenants: a service that writes in the name of many tenants has no more
/// turns than one that writes for one.
fn party((service, _): &Lane) -> u64 {
    *service as u64
}

/// What an append takes of a turn and of a commit: one for each entry without large details.
fn weight(drafts: &[Draft]) -> usize {
    drafts.iter().map(Draft::weight).sum::<usize>() / 1024
}

/// A tree position as a database holds it. Trees beyond `i64::MAX` leaves are refused long before.
pub(crate) fn row_id(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

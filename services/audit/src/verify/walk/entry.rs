//! One entry by itself: do its columns say what its leaf says?

use harombe_tlog::Hash;
use harombe_types::EventId;

use super::super::{Damage, Kind};
use crate::domain::{Leaf, hash_of};
use crate::store::Row;

/// The leaf of a row and its hash, after everything that needs no other row was checked.
pub(super) fn check(row: &Row) -> Result<(Leaf, Hash), Damage> {
    let changed = |detail: &str| Damage::new(Kind::Changed, Some(row.index), detail);
    let hash = Leaf::hash(&row.body);
    if row.hash != hash.as_bytes() {
        return Err(changed(
            "its bytes do not have the hash that was stored with them",
        ));
    }
    if harombe_canonical::parse_canonical(&row.body).is_err() {
        return Err(changed("its bytes are not canonical JSON"));
    }
    let leaf = Leaf::decode(&row.body).map_err(|_| changed("its bytes are not a leaf"))?;
    if leaf.v != 1 || leaf.millis().is_none() {
        return Err(changed("its bytes are not a leaf of version 1"));
    }
    let id = leaf
        .event_id
        .parse::<EventId>()
        .map_err(|_| changed("its event id is not one"))?;
    if row.event_id != id.as_uuid().as_bytes() {
        return Err(changed("it is filed under another event id"));
    }
    let sealed = row.details.as_deref().map(hash_of).unwrap_or_default();
    if sealed != leaf.details_hash {
        let detail = match (&row.details, leaf.details_hash.is_empty()) {
            (None, _) => "they are gone",
            (Some(_), true) => "it was written without any",
            (Some(_), false) => "they have another hash",
        };
        return Err(Damage::new(Kind::DetailsChanged, Some(row.index), detail));
    }
    Ok((leaf, hash))
}

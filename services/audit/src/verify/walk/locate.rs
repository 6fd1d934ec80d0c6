//! Saying which entry is wrong and how, once something is.

use harombe_tlog::{Checkpoint, Hash, Tile, TileBuilder, TileId};

use super::super::{Damage, Kind};
use super::PAGE;
use crate::domain::Leaf;
use crate::store::Snapshot;

/// The damage behind an entry whose tenant count is not the one that follows.
pub(super) async fn out_of_sequence(
    db: &mut dyn Snapshot,
    index: u64,
    leaf: &Leaf,
    expected: u64,
) -> Result<Damage, Damage> {
    let (tenant, found) = (&leaf.tenant, leaf.tenant_seq);
    if found < expected {
        let detail = format!("number {found} of tenant {tenant} is in the log already");
        return Ok(Damage::new(Kind::Inserted, Some(index), detail));
    }
    let detail = format!("number {found} of tenant {tenant} stands where {expected} belongs");
    let kind = if is_later(db, index, tenant, expected).await? {
        Kind::Reordered
    } else {
        Kind::Removed
    };
    Ok(Damage::new(kind, Some(index), detail))
}

/// Which of the entries since the last good checkpoint is not the one that `checkpoint` was signed over.
pub(super) async fn unsigned_entry(
    db: &mut dyn Snapshot,
    signed: &TileBuilder,
    unsigned: &[Hash],
    checkpoint: &Checkpoint,
) -> Result<Damage, Damage> {
    let first = signed.size();
    let mut suspect = first;
    let size = checkpoint.size();
    let following = next_hash(db, size).await?;
    for (at, hash) in (first..).zip(unsigned) {
        let Some(recorded) = recorded(db, at).await? else {
            break;
        };
        if recorded != *hash {
            let next = unsigned
                .get(usize::try_from(at + 1 - first).unwrap_or(usize::MAX))
                .copied()
                .or(following);
            let kind = match (next == Some(recorded), self::recorded(db, at + 1).await?) {
                (true, Some(after)) if after == *hash => Kind::Reordered,
                (true, _) => Kind::Inserted,
                (false, Some(after)) if after == *hash => Kind::Removed,
                (false, _) => Kind::Changed,
            };
            return Ok(Damage::new(
                kind,
                Some(at),
                "the stored tree has another hash for it",
            ));
        }
        suspect = at + 1;
    }
    if let ([_], Some(next)) = (unsigned, following) {
        let mut without = signed.clone();
        without.push(next);
        if without.root() == *checkpoint.root() {
            return Ok(Damage::new(
                Kind::Inserted,
                Some(first),
                "the entry after it is the one that was signed here",
            ));
        }
    }
    let detail = match unsigned {
        [_] => "the checkpoint over it was signed for another entry".to_owned(),
        _ => format!(
            "the checkpoint over {size} entries was signed for others: one of {suspect} to {}",
            size.saturating_sub(1)
        ),
    };
    Ok(Damage::new(Kind::Changed, Some(suspect), detail))
}

/// A full tile as stored.
pub(super) async fn stored_tile(db: &mut dyn Snapshot, id: TileId) -> Result<Option<Tile>, Damage> {
    let unreadable = |error: String| Damage::new(Kind::Unreadable, None, format!("stored tree: {error}"));
    let bytes = db.tile(id).await.map_err(|error| unreadable(error.to_string()))?;
    bytes
        .map(|bytes| Tile::from_bytes(id, &bytes).map_err(|error| unreadable(error.to_string())))
        .transpose()
}

/// The hash that the stored tree has for an entry, if its tile is full.
async fn recorded(db: &mut dyn Snapshot, entry: u64) -> Result<Option<Hash>, Damage> {
    let tile = stored_tile(
        db,
        TileId {
            level: 0,
            index: entry / 256,
        },
    )
    .await?;
    let at = usize::try_from(entry % 256).unwrap_or(usize::MAX);
    Ok(tile.and_then(|tile| tile.hashes().get(at).copied()))
}

async fn next_hash(db: &mut dyn Snapshot, entry: u64) -> Result<Option<Hash>, Damage> {
    let rows = db
        .entries(entry, 1)
        .await
        .map_err(|error| Damage::new(Kind::Unreadable, Some(entry), error.to_string()))?;
    let next = rows.first().filter(|row| row.index == entry);
    Ok(next.map(|row| Leaf::hash(&row.body)))
}

/// Whether a later entry has the wanted number of the tenant.
async fn is_later(db: &mut dyn Snapshot, index: u64, tenant: &str, wanted: u64) -> Result<bool, Damage> {
    let mut next = index + 1;
    loop {
        let rows = db
            .entries(next, PAGE)
            .await
            .map_err(|error| Damage::new(Kind::Unreadable, Some(index), error.to_string()))?;
        let Some(last) = rows.last() else { return Ok(false) };
        // Rows come in order, so anything else is a page of the file that lies about its place.
        if last.index < next {
            let detail = "entries are not in order";
            return Err(Damage::new(Kind::Unreadable, Some(index), detail));
        }
        next = last.index + 1;
        let is_wanted = |leaf: Leaf| leaf.tenant == tenant && leaf.tenant_seq == wanted;
        if rows
            .iter()
            .any(|row| Leaf::decode(&row.body).is_ok_and(is_wanted))
        {
            return Ok(true);
        }
    }
}

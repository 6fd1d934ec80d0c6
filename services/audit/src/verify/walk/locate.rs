//! Saying which entry is wrong and how, once something is.

use harombe_sql::Connection;
use harombe_tlog::{Checkpoint, Hash, Tile, TileBuilder, TileId};
use sqlx::Row as _;

use super::super::{Damage, Kind};
use crate::domain::Leaf;

/// The damage behind an entry whose tenant count is not the one that follows.
pub(super) async fn out_of_sequence(
    db: &mut Connection,
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
    db: &mut Connection,
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
pub(super) async fn stored_tile(db: &mut Connection, id: TileId) -> Result<Option<Tile>, Damage> {
    let unreadable = |error: String| Damage::new(Kind::Unreadable, None, format!("stored tree: {error}"));
    let bytes: Option<Vec<u8>> = sqlx::query_scalar("SELECT hashes FROM tiles WHERE level = ? AND idx = ?")
        .bind(i64::from(id.level))
        .bind(i64::try_from(id.index).unwrap_or(i64::MAX))
        .fetch_optional(db)
        .await
        .map_err(|error| unreadable(error.to_string()))?;
    bytes
        .map(|bytes| Tile::from_bytes(id, &bytes).map_err(|error| unreadable(error.to_string())))
        .transpose()
}

/// The hash that the stored tree has for an entry, if its tile is full.
async fn recorded(db: &mut Connection, entry: u64) -> Result<Option<Hash>, Damage> {
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

async fn next_hash(db: &mut Connection, entry: u64) -> Result<Option<Hash>, Damage> {
    let body: Option<Vec<u8>> = sqlx::query_scalar("SELECT body FROM entries WHERE idx = ?")
        .bind(i64::try_from(entry).unwrap_or(i64::MAX))
        .fetch_optional(db)
        .await
        .map_err(|error| Damage::new(Kind::Unreadable, Some(entry), error.to_string()))?;
    Ok(body.map(|body| Leaf::hash(&body)))
}

/// Whether a later entry has the wanted number of the tenant.
async fn is_later(db: &mut Connection, index: u64, tenant: &str, wanted: u64) -> Result<bool, Damage> {
    let mut after = i64::try_from(index).unwrap_or(i64::MAX);
    loop {
        let unreadable = |error: sqlx::Error| Damage::new(Kind::Unreadable, Some(index), error.to_string());
        let rows = sqlx::query("SELECT idx, body FROM entries WHERE idx > ? ORDER BY idx LIMIT 512")
            .bind(after)
            .fetch_all(&mut *db)
            .await
            .map_err(unreadable)?;
        if rows.is_empty() {
            return Ok(false);
        }
        for row in rows {
            let next: i64 = row.try_get(0).map_err(unreadable)?;
            if next <= after {
                return Err(Damage::new(
                    Kind::Unreadable,
                    Some(index),
                    "entries are not in order",
                ));
            }
            after = next;
            let body: Vec<u8> = row.try_get(1).map_err(unreadable)?;
            if Leaf::decode(&body).is_ok_and(|leaf| leaf.tenant == tenant && leaf.tenant_seq == wanted) {
                return Ok(true);
            }
        }
    }
}

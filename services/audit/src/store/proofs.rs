//! The hashes of proofs, from the full tiles that are stored and the edge that the head knows.

use std::collections::HashMap;

use harombe_tlog::{Hash, Node, ProofPlan, Tile, TileId};

use super::{Head, Reader};
use crate::Error;

/// The path from entry `index` to the root over the first `size` entries, which `head` must reach.
pub(crate) async fn inclusion(
    reader: &dyn Reader,
    head: &Head,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, Error> {
    assembled(reader, head, &ProofPlan::inclusion(index, size)?).await
}

/// The proof that the first `old` entries are the beginning of the first `new` ones, which `head` must reach.
pub(crate) async fn consistency(
    reader: &dyn Reader,
    head: &Head,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, Error> {
    assembled(reader, head, &ProofPlan::consistency(old, new)?).await
}

async fn assembled(reader: &dyn Reader, head: &Head, plan: &ProofPlan) -> Result<Vec<Hash>, Error> {
    let mut tiles: HashMap<TileId, Option<Tile>> = HashMap::new();
    for node in plan.nodes() {
        let id = TileId::of(node);
        if !tiles.contains_key(&id) && head.tree().hash_of(node).is_none() {
            tiles.insert(id, reader.tile(id).await?);
        }
    }
    let missing = |node: Node| {
        let Node { index, level } = node;
        Error::Damaged(format!("no hash of node {index} at level {level}"))
    };
    plan.assemble(|node| {
        let stored = || tiles.get(&TileId::of(node))?.as_ref()?.hash_of(node);
        head.tree()
            .hash_of(node)
            .or_else(stored)
            .ok_or_else(|| missing(node))
    })
}

//! Tile geometry and paths against the published vectors; stored tiles against the textbook tree.

use std::collections::HashMap;

use proptest::prelude::*;
use tlog_tiles::tile as peer;

use super::{TILE_WIDTH, Tile, TileBuilder, TileId, entries_path};
use crate::{Error, Frontier, Node, ProofPlan, naive, verify_inclusion};

const fn tile(level: u8, index: u64) -> TileId {
    TileId { level, index }
}

#[test]
fn published_geometry() {
    assert_eq!(tile(0, 272).width(70_000), 256);
    assert_eq!(
        TileBuilder::partial_tiles(70_000).unwrap(),
        [(tile(0, 273), 112), (tile(1, 1), 17), (tile(2, 0), 1)],
    );
    assert_eq!(TileBuilder::partial_tiles(256).unwrap(), [(tile(1, 0), 1)]);
    assert_eq!(tile(0, 0).width(256), 256);
    assert_eq!(tile(0, 1).width(256), 0);
    assert_eq!(TileBuilder::partial_tiles(0).unwrap(), []);
    assert_eq!(TileId::of(Node { level: 8, index: 0 }), tile(1, 0));
    assert_eq!(TileId::of(Node { level: 7, index: 3 }), tile(0, 1));
}

#[test]
fn published_paths() {
    assert_eq!(tile(0, 0).path(256), "tile/0/000");
    assert_eq!(tile(0, 0).path(255), "tile/0/000.p/255");
    assert_eq!(tile(1, 0).path(256), "tile/1/000");
    assert_eq!(tile(15, 455_667).path(256), "tile/15/x455/667");
    assert_eq!(tile(15, 123_456_789).path(41), "tile/15/x123/x456/789.p/41");
    assert_eq!(tile(0, 1_234_067).path(256), "tile/0/x001/x234/067");
    assert_eq!(entries_path(251 / 256, 255), "tile/entries/000.p/255");
    assert_eq!(entries_path(256 / 256, 1), "tile/entries/001.p/1");
    assert_eq!(entries_path(3 / 256, 256), "tile/entries/000");
}

#[test]
fn refuses_malformed_tiles() {
    for length in [0, 31, 33, 257 * 32] {
        assert_eq!(
            Tile::from_bytes(tile(0, 0), &vec![0; length]),
            Err(Error::MalformedTile),
            "{length}"
        );
    }
    let partial = Tile::from_bytes(tile(0, 0), &[7; 64]).unwrap();
    assert_eq!(partial.to_bytes(), [7; 64]);
    assert_eq!(partial.hash_of(Node { level: 2, index: 0 }), None);
    assert_eq!(partial.hash_of(Node { level: 0, index: 256 }), None);
    assert!(TileBuilder::resume(3, vec![partial.clone()]).is_err());
    assert!(TileBuilder::resume(256 + 2, vec![partial]).is_err());
}

/// A log as a server keeps it: full tiles stored, the right edge in memory.
fn log(size: u64) -> (TileBuilder, HashMap<TileId, Tile>) {
    let mut builder = TileBuilder::new();
    let mut stored = HashMap::new();
    for leaf in naive::leaves(size) {
        stored.extend(builder.push(leaf).into_iter().map(|tile| (tile.id(), tile)));
    }
    (builder, stored)
}

#[test]
fn proofs_from_tiles_across_two_levels() {
    // 66,000 leaves fill 257 tiles of level 0 and one of level 1, and begin one of level 2.
    let (builder, stored) = log(66_000);
    assert_eq!(stored.len(), 257 + 1);
    assert!(stored.values().all(|tile| tile.to_bytes().len() == 8_192));
    let leaves = naive::leaves(66_000);
    for (index, size) in [
        (0, 66_000),
        (65_535, 66_000),
        (65_536, 65_537),
        (300, 65_536),
        (65_999, 66_000),
    ] {
        let plan = ProofPlan::inclusion(index, size).unwrap();
        let path = plan.assemble(|node| {
            let full = stored.get(&TileId::of(node)).and_then(|tile| tile.hash_of(node));
            full.or_else(|| builder.hash_of(node)).ok_or(node)
        });
        let root = naive::root(&leaves[..usize::try_from(size).unwrap()]);
        let leaf = leaves[usize::try_from(index).unwrap()];
        verify_inclusion(&leaf, index, size, &path.unwrap(), &root).unwrap();
    }
}

#[test]
fn resumes_a_tree_of_three_tile_levels() {
    let leaves = naive::leaves(65_536 + 256 + 3);
    let (mut builder, stored) = log(65_536 + 256);
    let partials = TileBuilder::partial_tiles(builder.size()).unwrap();
    assert_eq!(partials, [(tile(1, 1), 1), (tile(2, 0), 1)]);
    let edge = |id: TileId| {
        let below = tile(id.level - 1, id.index * TILE_WIDTH as u64);
        Tile::new(id, vec![stored[&below].root()]).unwrap()
    };
    let mut resumed =
        TileBuilder::resume(builder.size(), partials.iter().map(|(id, _)| edge(*id)).collect()).unwrap();
    assert_eq!(resumed.root(), builder.root());
    for leaf in &leaves[65_536 + 256..] {
        assert_eq!(resumed.push(*leaf), builder.push(*leaf));
    }
    assert_eq!(resumed.root(), naive::root(&leaves));
}

proptest! {
    #[test]
    fn builder_agrees_with_frontier(size in 0_u64..1_200) {
        let (builder, stored) = log(size);
        let mut frontier = Frontier::new();
        naive::leaves(size).iter().for_each(|leaf| frontier.push(*leaf));
        prop_assert_eq!(builder.root(), frontier.root());
        prop_assert_eq!(builder.size(), size);
        prop_assert_eq!(stored.len() as u64, size / 256);

        let partials = TileBuilder::partial_tiles(size).unwrap();
        let partial = |(id, width): &(TileId, u16)| {
            let first = id.index * 256;
            let level = id.level * 8;
            let nodes = (first..first + u64::from(*width)).map(|index| Node { level, index });
            Tile::new(*id, nodes.map(|node| builder.hash_of(node).unwrap()).collect()).unwrap()
        };
        let resumed = TileBuilder::resume(size, partials.iter().map(partial).collect()).unwrap();
        prop_assert_eq!(resumed.root(), builder.root());
    }

    #[test]
    fn paths_agree_with_peer(level in 0_u8..7, index in 0_u64..1 << 40, width in 1_u16..=256) {
        let theirs = peer::Tile::new(8, level, index, u32::from(width), false).path();
        prop_assert_eq!(tile(level, index).path(width), theirs.replacen("tile/8/", "tile/", 1));
    }

    #[test]
    fn any_node_is_answered_without_panic(level in any::<u8>(), index in any::<u64>(), size in any::<u64>()) {
        let node = Node { level, index };
        let (builder, stored) = log(300);
        let _ = builder.hash_of(node);
        prop_assert!(stored[&tile(0, 0)].hash_of(node).is_none_or(|_| level < 8));
        let _ = TileId::of(node).width(size);
        let _ = TileBuilder::partial_tiles(size);
    }
}

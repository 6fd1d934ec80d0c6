//! Proofs against the published vectors, the textbook definition, an independent implementation, and forgery.

use std::convert::Infallible;

use proptest::prelude::*;
use tlog_tiles::tlog as peer;

use super::{ProofPlan, verify_consistency, verify_inclusion};
use crate::hash::{Hash, empty_root, leaf_hash};
use crate::{Error, MAX_SIZE, Node, naive};

fn read(leaves: &[Hash], node: Node) -> Hash {
    let start = usize::try_from(node.index << node.level).unwrap();
    naive::root(&leaves[start..start + (1 << node.level)])
}

fn inclusion(leaves: &[Hash], index: u64) -> Vec<Hash> {
    let plan = ProofPlan::inclusion(index, leaves.len() as u64).unwrap();
    plan.assemble(|node| Ok::<_, Infallible>(read(leaves, node)))
        .unwrap()
}

fn consistency(leaves: &[Hash], old: u64) -> Vec<Hash> {
    let plan = ProofPlan::consistency(old, leaves.len() as u64).unwrap();
    plan.assemble(|node| Ok::<_, Infallible>(read(leaves, node)))
        .unwrap()
}

fn ct(size: usize) -> Vec<Hash> {
    naive::ct_leaves()
        .iter()
        .take(size)
        .map(|leaf| leaf_hash(leaf))
        .collect()
}

const LEAF_0: &str = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
const LEAF_1: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const LEAF_4: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const NODE_01: &str = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";
const NODE_23: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const NODE_45: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
const NODE_67: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const NODE_03: &str = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";
const NODE_47: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";

#[test]
fn published_inclusion_paths() {
    let check = |size: usize, index: u64, path: &[&str]| {
        let leaves = ct(size);
        let expected: Vec<Hash> = path.iter().map(|hash| naive::hash(hash)).collect();
        assert_eq!(inclusion(&leaves, index), expected, "{index} of {size}");
        let leaf = leaves[usize::try_from(index).unwrap()];
        verify_inclusion(&leaf, index, size as u64, &expected, &naive::root(&leaves)).unwrap();
    };
    check(1, 0, &[]);
    check(8, 0, &[LEAF_1, NODE_23, NODE_47]);
    check(8, 5, &[LEAF_4, NODE_67, NODE_03]);
    check(3, 2, &[NODE_01]);
    check(5, 1, &[LEAF_0, NODE_23, LEAF_4]);
}

#[test]
fn published_consistency_paths() {
    let check = |old: usize, new: usize, path: &[&str]| {
        let leaves = ct(new);
        let expected: Vec<Hash> = path.iter().map(|hash| naive::hash(hash)).collect();
        assert_eq!(consistency(&leaves, old as u64), expected, "{old} to {new}");
        let (old_root, new_root) = (naive::root(&leaves[..old]), naive::root(&leaves));
        verify_consistency((old as u64, &old_root), (new as u64, &new_root), &expected).unwrap();
    };
    check(0, 0, &[]);
    check(0, 5, &[]);
    check(1, 1, &[]);
    check(1, 8, &[LEAF_1, NODE_23, NODE_47]);
    check(6, 8, &[NODE_45, NODE_67, NODE_03]);
    check(2, 5, &[NODE_23, LEAF_4]);
}

#[test]
fn refuses_positions_outside_the_tree() {
    assert_eq!(
        ProofPlan::inclusion(3, 3),
        Err(Error::IndexOutOfRange { index: 3, size: 3 })
    );
    assert_eq!(
        ProofPlan::inclusion(0, 0),
        Err(Error::IndexOutOfRange { index: 0, size: 0 })
    );
    assert_eq!(
        ProofPlan::inclusion(0, u64::MAX),
        Err(Error::SizeTooLarge(u64::MAX))
    );
    assert_eq!(
        ProofPlan::consistency(4, 3),
        Err(Error::SizesReversed { old: 4, new: 3 })
    );
    assert_eq!(
        ProofPlan::consistency(1, MAX_SIZE + 1),
        Err(Error::SizeTooLarge(MAX_SIZE + 1))
    );
    let root = empty_root();
    assert!(verify_inclusion(&root, 0, 0, &[], &root).is_err());
    assert!(verify_consistency((2, &root), (1, &root), &[]).is_err());
}

#[test]
fn refuses_an_empty_tree_with_another_root() {
    let leaves = naive::leaves(3);
    let root = naive::root(&leaves);
    assert!(verify_consistency((0, &root), (3, &root), &[]).is_err());
    assert!(verify_consistency((0, &empty_root()), (3, &root), &[root]).is_err());
    assert!(verify_consistency((3, &root), (3, &root), &[root]).is_err());
    assert!(verify_consistency((2, &naive::root(&leaves[..2])), (3, &root), &[]).is_err());
}

/// Serves the other implementation its stored hashes, whose numbering it defines.
struct Peer(Vec<Hash>);

impl peer::HashReader for Peer {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<peer::Hash>, peer::Error> {
        let hash = |index: &u64| {
            let (level, index) = peer::split_stored_hash_index(*index);
            peer::Hash(*read(&self.0, Node { level, index }).as_bytes())
        };
        Ok(indexes.iter().map(hash).collect())
    }
}

fn bytes(path: &[Hash]) -> Vec<[u8; 32]> {
    path.iter().map(|hash| *hash.as_bytes()).collect()
}

proptest! {
    #[test]
    fn agrees_with_definition_and_peer((size, index, old) in (1_u64..400).prop_flat_map(|n| (Just(n), 0..n, 1..=n))) {
        let leaves = naive::leaves(size);
        let (at, cut) = (usize::try_from(index).unwrap(), usize::try_from(old).unwrap());
        let (root, old_root) = (naive::root(&leaves), naive::root(&leaves[..cut]));
        let peer_root = peer::tree_hash(size, &Peer(leaves.clone())).unwrap();
        prop_assert_eq!(peer_root.0, *root.as_bytes());

        let path = inclusion(&leaves, index);
        prop_assert_eq!(&path, &naive::inclusion(at, &leaves));
        let theirs = peer::prove_record(size, index, &Peer(leaves.clone())).unwrap();
        prop_assert_eq!(theirs.iter().map(|hash| hash.0).collect::<Vec<_>>(), bytes(&path));
        prop_assert_eq!(verify_inclusion(&leaves[at], index, size, &path, &root), Ok(()));

        let path = consistency(&leaves, old);
        prop_assert_eq!(&path, &naive::consistency(cut, &leaves, true));
        let theirs = peer::prove_tree(size, old, &Peer(leaves)).unwrap();
        prop_assert_eq!(theirs.iter().map(|hash| hash.0).collect::<Vec<_>>(), bytes(&path));
        prop_assert_eq!(verify_consistency((old, &old_root), (size, &root), &path), Ok(()));
    }

    #[test]
    fn forged_inclusion_is_refused(
        (size, index, other) in (2_u64..200).prop_flat_map(|n| (Just(n), 0..n, 0..n)),
        cut in any::<prop::sample::Index>(),
        bit in 0_usize..256,
    ) {
        let leaves = naive::leaves(size);
        let root = naive::root(&leaves);
        let leaf = leaves[usize::try_from(index).unwrap()];
        let path = inclusion(&leaves, index);
        if other != index {
            prop_assert!(verify_inclusion(&leaf, other, size, &path, &root).is_err());
        }
        let mut shorter = path.clone();
        shorter.remove(cut.index(path.len()));
        prop_assert!(verify_inclusion(&leaf, index, size, &shorter, &root).is_err());
        let mut longer = path.clone();
        longer.push(root);
        prop_assert!(verify_inclusion(&leaf, index, size, &longer, &root).is_err());
        let mut flipped = path;
        let victim = cut.index(flipped.len());
        let mut wrong = *flipped[victim].as_bytes();
        wrong[bit / 8] ^= 1 << (bit % 8);
        flipped[victim] = Hash::new(wrong);
        prop_assert!(verify_inclusion(&leaf, index, size, &flipped, &root).is_err());
    }

    #[test]
    fn forged_consistency_is_refused((size, old) in (2_u64..200).prop_flat_map(|n| (Just(n), 1..n))) {
        let leaves = naive::leaves(size);
        let cut = usize::try_from(old).unwrap();
        let (root, old_root) = (naive::root(&leaves), naive::root(&leaves[..cut]));
        let path = consistency(&leaves, old);
        let mut altered = leaves;
        altered[cut - 1] = leaf_hash(b"rewritten");
        let other = naive::root(&altered[..cut]);
        prop_assert!(verify_consistency((old, &other), (size, &root), &path).is_err());
        prop_assert!(verify_consistency((old, &old_root), (size, &naive::root(&altered)), &path).is_err());
        prop_assert!(verify_consistency((old, &old_root), (size, &root), &path[1..]).is_err());
        let mut longer = path;
        longer.push(root);
        prop_assert!(verify_consistency((old, &old_root), (size, &root), &longer).is_err());
    }

    #[test]
    fn verifiers_take_any_input(
        sizes in any::<(u64, u64)>(),
        path in prop::collection::vec(any::<[u8; 32]>().prop_map(Hash::new), 0..70),
    ) {
        let root = empty_root();
        prop_assert!(verify_inclusion(&root, sizes.0, sizes.1, &path, &root).is_err());
        let _ = verify_consistency((sizes.0, &root), (sizes.1, &root), &path);
    }
}

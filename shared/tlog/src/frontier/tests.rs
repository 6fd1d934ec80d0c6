//! The frontier against the published roots and against the textbook definition.

use proptest::prelude::*;

use super::Frontier;
use crate::hash::{empty_root, leaf_hash};
use crate::naive;
use crate::{Error, MAX_SIZE, Node};

#[test]
fn roots_of_the_ct_leaves() {
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), naive::hash(roots[0]));
    for (leaf, root) in naive::ct_leaves().iter().zip(&roots[1..]) {
        frontier.push(leaf_hash(leaf));
        assert_eq!(frontier.root(), naive::hash(root));
    }
    assert_eq!(frontier.size(), 8);
}

#[test]
fn refuses_impossible_states() {
    assert_eq!(
        Frontier::from_roots(MAX_SIZE + 1, Vec::new()),
        Err(Error::SizeTooLarge(MAX_SIZE + 1))
    );
    for (size, count) in [(0, 1), (1, 0), (5, 3), (7, 2)] {
        let roots = vec![empty_root(); count];
        assert!(matches!(
            Frontier::from_roots(size, roots),
            Err(Error::WrongHashCount { .. })
        ));
    }
}

#[test]
fn the_largest_tree_still_takes_a_leaf() {
    let roots = vec![empty_root(); Node::of_tree(MAX_SIZE).unwrap().len()];
    let mut frontier = Frontier::from_roots(MAX_SIZE, roots).unwrap();
    frontier.push(empty_root());
    assert_eq!(frontier.size(), MAX_SIZE + 1);
    assert_eq!(frontier.roots().len(), 1);
}

proptest! {
    #[test]
    fn agrees_with_the_definition(size in 0_u64..600) {
        let leaves = naive::leaves(size);
        let mut frontier = Frontier::new();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        prop_assert_eq!(frontier.root(), naive::root(&leaves));
        prop_assert_eq!(frontier.nodes().unwrap().len(), frontier.roots().len());
        for (node, root) in frontier.nodes().unwrap().iter().zip(frontier.roots()) {
            let start = usize::try_from(node.index << node.level).unwrap();
            prop_assert_eq!(*root, naive::root(&leaves[start..start + (1 << node.level)]));
        }
    }

    #[test]
    fn goes_on_after_a_restart(size in 0_u64..300, more in 1_u64..300) {
        let leaves = naive::leaves(size + more);
        let (before, after) = leaves.split_at(usize::try_from(size).unwrap());
        let mut frontier = Frontier::new();
        before.iter().for_each(|leaf| frontier.push(*leaf));
        let mut again = Frontier::from_roots(frontier.size(), frontier.roots().to_vec()).unwrap();
        after.iter().for_each(|leaf| again.push(*leaf));
        prop_assert_eq!(again.root(), naive::root(&leaves));
    }
}

//! The textbook definition of RFC 6962 §2.1, slow and recursive: what the real code is held to in tests.

use crate::hash::{Hash, empty_root, leaf_hash, node_hash};

/// The classic eight leaves of the certificate transparency test suites.
pub(crate) fn ct_leaves() -> Vec<Vec<u8>> {
    [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    .iter()
    .map(|text| unhex(text))
    .collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

pub(crate) fn hash(text: &str) -> Hash {
    Hash::try_from(unhex(text).as_slice()).unwrap()
}

/// `count` distinct leaf hashes.
pub(crate) fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

fn split(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    let mut at = 1;
    while at * 2 < leaves.len() {
        at *= 2;
    }
    leaves.split_at(at)
}

pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = split(leaves);
            node_hash(&root(left), &root(right))
        }
    }
}

pub(crate) fn inclusion(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = split(leaves);
    let (mut path, sibling) = match index < left.len() {
        true => (inclusion(index, left), root(right)),
        false => (inclusion(index - left.len(), right), root(left)),
    };
    path.push(sibling);
    path
}

pub(crate) fn consistency(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if known { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = split(leaves);
    let (mut path, sibling) = match old <= left.len() {
        true => (consistency(old, left, known), root(right)),
        false => (consistency(old - left.len(), right, false), root(left)),
    };
    path.push(sibling);
    path
}

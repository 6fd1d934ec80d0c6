//! Inclusion and consistency proofs (RFC 6962 §2.1.1 and §2.1.2): what to read for one, how to assemble it, and how to
//! check it (RFC 9162 §2.1.3.2 and §2.1.4.2, the same algorithms put iteratively).

use crate::Error;
use crate::frontier::join;
use crate::hash::{Hash, empty_root, node_hash};
use crate::node::{Node, check_size, of_range, split_point};

/// What a proof is made of, before any hash was read: for each hash of the proof the stored nodes that make it up.
/// Planning does no I/O, so the caller can fetch all nodes in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofPlan {
    parts: Vec<Vec<Node>>,
}

impl ProofPlan {
    /// The plan of the path from leaf `index` to the root of the tree of `size` leaves.
    pub fn inclusion(index: u64, size: u64) -> Result<Self, Error> {
        check_size(size)?;
        if index >= size {
            return Err(Error::IndexOutOfRange { index, size });
        }
        let (mut start, mut end) = (0, size);
        let mut parts = Vec::new();
        while end - start > 1 {
            let middle = start + split_point(end - start);
            if index < middle {
                parts.push(of_range(middle, end));
                end = middle;
            } else {
                parts.push(of_range(start, middle));
                start = middle;
            }
        }
        parts.reverse();
        Ok(Self { parts })
    }

    /// The plan of the proof that the tree of `old` leaves is a prefix of that of `new`. Empty when `old` is 0 or equals
    /// `new`: such a pair needs no hashes.
    pub fn consistency(old: u64, new: u64) -> Result<Self, Error> {
        check_size(new)?;
        if old > new {
            return Err(Error::SizesReversed { old, new });
        }
        let mut parts = Vec::new();
        if old == 0 {
            return Ok(Self { parts });
        }
        let (mut start, mut end) = (0, new);
        while end > old {
            let middle = start + split_point(end - start);
            if old <= middle {
                parts.push(of_range(middle, end));
                end = middle;
            } else {
                parts.push(of_range(start, middle));
                start = middle;
            }
        }
        // A prefix that is one whole subtree from leaf 0 is known to the verifier: it is the old root itself.
        if start > 0 {
            parts.push(of_range(start, end));
        }
        parts.reverse();
        Ok(Self { parts })
    }

    /// Every stored node whose hash [`ProofPlan::assemble`] will ask for.
    pub fn nodes(&self) -> impl Iterator<Item = Node> + '_ {
        self.parts.iter().flatten().copied()
    }

    /// The proof, from the hashes of the planned nodes; an error of `hash_of` is passed on.
    pub fn assemble<E>(&self, mut hash_of: impl FnMut(Node) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
        let mut path = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let hashes = part
                .iter()
                .map(|node| hash_of(*node))
                .collect::<Result<Vec<_>, E>>()?;
            path.extend(join(&hashes));
        }
        Ok(path)
    }
}

/// Checks that the leaf with hash `leaf` is at `index` in the tree of `size` leaves with root `root`.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), Error> {
    if index >= size {
        return Err(Error::IndexOutOfRange { index, size });
    }
    let (mut first, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(Error::InclusionMismatch);
        }
        if first & 1 == 1 || first == last {
            hash = node_hash(sibling, &hash);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        first >>= 1;
        last >>= 1;
    }
    if last != 0 || hash != *root {
        return Err(Error::InclusionMismatch);
    }
    Ok(())
}

/// Checks that the tree `old` (size and root) is a prefix of the tree `new`. Every tree continues the empty one, provided
/// its root is that of the empty tree and the path is empty.
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), path: &[Hash]) -> Result<(), Error> {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return Err(Error::SizesReversed {
            old: old_size,
            new: new_size,
        });
    }
    let agree = |holds: bool| {
        if holds {
            Ok(())
        } else {
            Err(Error::ConsistencyMismatch)
        }
    };
    if old_size == new_size {
        return agree(path.is_empty() && old_root == new_root);
    }
    if old_size == 0 {
        return agree(path.is_empty() && *old_root == empty_root());
    }
    // Both accumulators start from the last subtree that the two trees share, which is the old root itself when the old
    // size is a power of two.
    let (seed, rest) = match (old_size.is_power_of_two(), path) {
        (true, rest) if !rest.is_empty() => (old_root, rest),
        (false, [seed, rest @ ..]) => (seed, rest),
        _ => return Err(Error::ConsistencyMismatch),
    };
    let shared = (old_size - 1).trailing_ones();
    let (mut first, mut last) = ((old_size - 1) >> shared, (new_size - 1) >> shared);
    let (mut old_hash, mut new_hash) = (*seed, *seed);
    for hash in rest {
        if last == 0 {
            return Err(Error::ConsistencyMismatch);
        }
        if first & 1 == 1 || first == last {
            old_hash = node_hash(hash, &old_hash);
            new_hash = node_hash(hash, &new_hash);
            while first & 1 == 0 && first != 0 {
                first >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, hash);
        }
        first >>= 1;
        last >>= 1;
    }
    agree(last == 0 && old_hash == *old_root && new_hash == *new_root)
}

#[cfg(test)]
mod tests;

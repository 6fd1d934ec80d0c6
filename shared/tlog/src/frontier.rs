//! The right edge of a growing tree: the few hashes that are enough to append leaves and to know the root at any moment.

use crate::Error;
use crate::hash::{Hash, empty_root, node_hash};
use crate::node::{Node, check_size};

/// A compact range from leaf 0: the roots of the perfect subtrees of the tree, largest first. Cheap to clone, which is
/// how a caller tries a batch and throws it away when its transaction fails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a tree of `size` leaves again from the hashes of [`Node::of_tree`]`(size)`, in that order.
    pub fn from_roots(size: u64, roots: Vec<Hash>) -> Result<Self, Error> {
        check_size(size)?;
        let expected = size.count_ones() as usize;
        if roots.len() != expected {
            return Err(Error::WrongHashCount {
                size,
                what: "subtree roots",
                expected,
                actual: roots.len(),
            });
        }
        Ok(Self { size, roots })
    }

    /// Appends a leaf by its hash. Constant time on average: one interior node is computed per leaf in the long run.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of [`Node::of_tree`]`(self.size())`.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// The nodes that [`Frontier::roots`] are the hashes of.
    pub fn nodes(&self) -> Result<Vec<Node>, Error> {
        Node::of_tree(self.size)
    }

    /// The RFC 6962 root over all leaves so far.
    pub fn root(&self) -> Hash {
        join(&self.roots).unwrap_or_else(empty_root)
    }
}

/// The root over neighbouring subtrees that shrink from left to right; `None` when there is none.
pub(crate) fn join(hashes: &[Hash]) -> Option<Hash> {
    hashes
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| node_hash(&left, &right))
}

/// The root over `hashes` taken as the leaves-to-be of one subtree; `None` when there are none.
pub(crate) fn root_of(hashes: &[Hash]) -> Option<Hash> {
    let mut frontier = Frontier::new();
    hashes.iter().for_each(|hash| frontier.push(*hash));
    join(&frontier.roots)
}

#[cfg(test)]
mod tests;

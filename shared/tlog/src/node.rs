//! Positions in the tree. Every hash a log must store is that of a *perfect* subtree, one over `2^level` leaves that
//! starts at a multiple of `2^level`: such a hash never changes once its leaves are there.

use crate::Error;

/// The largest tree size accepted anywhere: what a signed 64-bit column can hold.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// The root of the perfect subtree over leaves `[index << level, (index + 1) << level)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    pub level: u8,
    pub index: u64,
}

impl Node {
    /// The perfect subtrees whose roots make up the tree of `size` leaves, largest (leftmost) first: one for each set
    /// bit of `size`.
    pub fn of_tree(size: u64) -> Result<Vec<Self>, Error> {
        check_size(size)?;
        Ok(of_range(0, size))
    }
}

pub(crate) fn check_size(size: u64) -> Result<(), Error> {
    if size > MAX_SIZE {
        return Err(Error::SizeTooLarge(size));
    }
    Ok(())
}

/// The perfect subtrees that cover leaves `[start, end)`, left to right. `start` must be a multiple of a power of two
/// that is no smaller than the range, as the ranges of RFC 6962 are.
pub(crate) fn of_range(start: u64, end: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut next = start;
    while let Some(level) = end.saturating_sub(next).checked_ilog2() {
        // `level` is below 64, so neither the cast nor the shift can lose anything.
        nodes.push(Node {
            level: u8::try_from(level).unwrap_or(u8::MAX),
            index: next >> level,
        });
        next += 1 << level;
    }
    nodes
}

/// The largest power of two strictly smaller than `n`, where RFC 6962 splits a list of `n > 1` leaves.
pub(crate) fn split_point(n: u64) -> u64 {
    n.saturating_sub(1).checked_ilog2().map_or(0, |level| 1 << level)
}

//! Tiles (C2SP tlog-tiles): the stored hashes of the tree in immutable blocks of 256, so that a log keeps one row for
//! every 256 leaves and any proof reads a handful of rows.

use crate::Error;
use crate::frontier::{Frontier, root_of};
use crate::hash::{Hash, empty_root};
use crate::node::{Node, check_size, of_range};

/// Hashes in a full tile.
pub const TILE_WIDTH: usize = 256;
/// Levels of the tree that one level of tiles spans.
const TILE_HEIGHT: u8 = 8;
/// The highest tile level a supported size can reach.
const MAX_TILE_LEVEL: u8 = 7;

/// Which tile: entry `i` of tile `index` at `level` is the hash over leaves
/// `[(index * 256 + i) * 256^level, (index * 256 + i + 1) * 256^level)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    pub level: u8,
    pub index: u64,
}

impl TileId {
    /// The tile from whose hashes that of `node` is computed.
    pub fn of(node: Node) -> Self {
        let height = node.level % TILE_HEIGHT;
        Self {
            level: node.level / TILE_HEIGHT,
            index: node.index >> (TILE_HEIGHT - height),
        }
    }

    /// How many hashes this tile holds in a tree of `size` leaves, from 0 (not begun) to 256 (full).
    pub fn width(self, size: u64) -> u16 {
        let entries = entries_at(self.level, size);
        let begun = entries.saturating_sub(self.index.saturating_mul(TILE_WIDTH as u64));
        u16::try_from(begun.min(TILE_WIDTH as u64)).unwrap_or(u16::MAX)
    }

    /// The relative URL path of this tile at `width`; a width of 256 is the full tile.
    pub fn path(self, width: u16) -> String {
        format!("tile/{}/{}", self.level, numbered(self.index, width))
    }
}

/// The relative URL path of the bundle of log entries below the level 0 tile `index`.
pub fn entries_path(index: u64, width: u16) -> String {
    format!("tile/entries/{}", numbered(index, width))
}

/// A tile's hashes, left to right; fewer than 256 at the right edge of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    id: TileId,
    hashes: Vec<Hash>,
}

impl Tile {
    /// A tile of between 1 and 256 hashes.
    pub fn new(id: TileId, hashes: Vec<Hash>) -> Result<Self, Error> {
        if hashes.is_empty() || hashes.len() > TILE_WIDTH {
            return Err(Error::MalformedTile);
        }
        Ok(Self { id, hashes })
    }

    /// Reads the raw form, which is the hashes one after the other.
    pub fn from_bytes(id: TileId, bytes: &[u8]) -> Result<Self, Error> {
        let (hashes, rest) = bytes.as_chunks::<{ Hash::LEN }>();
        if !rest.is_empty() {
            return Err(Error::MalformedTile);
        }
        Self::new(id, hashes.iter().copied().map(Hash::new).collect())
    }

    /// The raw form; 8192 bytes when the tile is full.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes
            .iter()
            .flat_map(|hash| hash.as_bytes())
            .copied()
            .collect()
    }

    pub fn id(&self) -> TileId {
        self.id
    }

    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The root over the hashes of this tile: for a full one, its entry in the tile above.
    pub fn root(&self) -> Hash {
        root_of(&self.hashes).unwrap_or_else(empty_root)
    }

    /// The hash of `node`, or `None` when this tile does not hold all of it.
    pub fn hash_of(&self, node: Node) -> Option<Hash> {
        if TileId::of(node) != self.id {
            return None;
        }
        hash_within(&self.hashes, node)
    }
}

/// A growing tree together with the tiles at its right edge. Appending hands out each tile once, when it is full; what
/// is not yet full is answered from memory. Cheap to clone (a few kilobytes), as [`Frontier`] is and for the same reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TileBuilder {
    frontier: Frontier,
    /// By tile level, the hashes of its tile at the right edge; never 256 of them.
    levels: Vec<Vec<Hash>>,
}

impl TileBuilder {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tiles, with their widths, that a tree of `size` leaves has begun and not filled: what [`TileBuilder::resume`]
    /// needs. Lowest level first, at most one for each level.
    pub fn partial_tiles(size: u64) -> Result<Vec<(TileId, u16)>, Error> {
        check_size(size)?;
        let edge = |level: u8| {
            let id = TileId {
                level,
                index: entries_at(level, size) / TILE_WIDTH as u64,
            };
            (id, id.width(size))
        };
        Ok((0..=MAX_TILE_LEVEL)
            .map(edge)
            .filter(|(_, width)| *width > 0)
            .collect())
    }

    /// Takes up a tree of `size` leaves again from exactly its [`TileBuilder::partial_tiles`], in that order.
    pub fn resume(size: u64, partials: Vec<Tile>) -> Result<Self, Error> {
        let wanted = Self::partial_tiles(size)?;
        let given: Vec<_> = partials.iter().map(|tile| (tile.id, tile.hashes.len())).collect();
        if !wanted
            .iter()
            .map(|(id, width)| (*id, usize::from(*width)))
            .eq(given.iter().copied())
        {
            let (expected, actual) = (wanted.len(), given.len());
            return Err(Error::WrongHashCount {
                size,
                what: "partial tiles of these widths",
                expected,
                actual,
            });
        }
        let mut roots = Vec::new();
        for tile in partials.iter().rev() {
            for node in of_range(0, tile.hashes.len() as u64) {
                roots.extend(hash_within(&tile.hashes, node));
            }
        }
        let mut levels = Vec::new();
        for tile in partials {
            levels.resize_with(usize::from(tile.id.level), Vec::new);
            levels.push(tile.hashes);
        }
        Ok(Self {
            frontier: Frontier::from_roots(size, roots)?,
            levels,
        })
    }

    /// Appends a leaf by its hash and returns the tiles that it filled: none for 255 leaves of 256.
    pub fn push(&mut self, leaf: Hash) -> Vec<Tile> {
        let mut filled = Vec::new();
        let mut carried = Some(leaf);
        let mut level = 0;
        while let Some(hash) = carried.take() {
            if self.levels.len() <= usize::from(level) {
                self.levels.resize_with(usize::from(level) + 1, Vec::new);
            }
            let Some(edge) = self.levels.get_mut(usize::from(level)) else {
                break;
            };
            edge.push(hash);
            if edge.len() == TILE_WIDTH {
                let hashes = std::mem::take(edge);
                carried = root_of(&hashes);
                let index = entries_at(level, self.size()) / TILE_WIDTH as u64;
                filled.push(Tile {
                    id: TileId { level, index },
                    hashes,
                });
                level += 1;
            }
        }
        self.frontier.push(leaf);
        filled
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The RFC 6962 root over all leaves so far.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The hash of `node` when it lies in a tile that is not yet full.
    pub fn hash_of(&self, node: Node) -> Option<Hash> {
        let id = TileId::of(node);
        if id.index != entries_at(id.level, self.size()) / TILE_WIDTH as u64 {
            return None;
        }
        hash_within(self.levels.get(usize::from(id.level))?, node)
    }
}

/// Hashes that tile level `level` has, over all its tiles, in a tree of `size` leaves.
fn entries_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT))
        .unwrap_or(0)
}

/// The hash of `node` from the hashes of its tile.
fn hash_within(hashes: &[Hash], node: Node) -> Option<Hash> {
    let height = node.level % TILE_HEIGHT;
    let count = 1_usize << height;
    let first = usize::try_from(node.index.checked_shl(u32::from(height))? % TILE_WIDTH as u64).ok()?;
    root_of(hashes.get(first..first + count)?)
}

/// A tile number in groups of three digits, each but the last marked with an `x`, and the width of a partial tile.
fn numbered(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if usize::from(width) < TILE_WIDTH {
        path = format!("{path}.p/{width}");
    }
    path
}

#[cfg(test)]
mod tests;

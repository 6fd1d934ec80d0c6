//! The walk over all entries, which rebuilds the tree beside what was signed and stored.

mod entry;
mod locate;
mod remains;

use std::collections::VecDeque;

use harombe_tlog::{Hash, Tile, TileBuilder, TileId, VerifyingKey};

use super::checkpoints::Checkpoints;
use super::sequences::Sequences;
use super::{Damage, Kept, Kind, Report, Trust};
use crate::store::{Row, Snapshot};

/// Entries read at once: an entry has at most a megabyte of details, and few have more than a kilobyte.
const PAGE: u32 = 128;

/// The state of a verification.
pub(super) struct Walk {
    key: VerifyingKey,
    /// Signed checkpoints that were kept elsewhere than in the log.
    kept: Vec<Kept>,
    checkpoints: Checkpoints,
    checked: u64,
    tree: TileBuilder,
    sequences: Sequences,
    /// The tree at the last good checkpoint, and the hashes since.
    signed: TileBuilder,
    unsigned: Vec<Hash>,
    /// Filled since, to be compared once a checkpoint says that the entries are right.
    filled: Vec<Tile>,
    tiles: u64,
}

impl Walk {
    pub(super) fn new(key: VerifyingKey, kept: Vec<Kept>) -> Self {
        Self {
            key,
            kept,
            checkpoints: Checkpoints::new(),
            checked: 0,
            tree: TileBuilder::new(),
            sequences: Sequences::default(),
            signed: TileBuilder::new(),
            unsigned: Vec::new(),
            filled: Vec::new(),
            tiles: 0,
        }
    }

    /// Checks everything; the first damage ends it.
    pub(super) async fn run(&mut self, db: &mut dyn Snapshot) -> Result<(), Damage> {
        let mut rows = VecDeque::new();
        self.check_checkpoint(db).await?;
        self.check_kept()?;
        loop {
            if rows.is_empty() {
                rows = self.page(db).await?;
            }
            let Some(row) = rows.pop_front() else { break };
            self.check_row(db, &row).await?;
        }
        self.check_end(db).await
    }

    pub(super) fn report(self, trust: Trust) -> Report {
        Report {
            entries: self.tree.size(),
            checkpoints: self.checked,
            root: self.tree.root().to_string(),
            key: self.key.to_string(),
            trust,
            unaccounted: self.sequences.unaccounted(),
        }
    }

    async fn page(&self, db: &mut dyn Snapshot) -> Result<VecDeque<Row>, Damage> {
        let next = self.tree.size();
        let rows = db.entries(next, PAGE).await;
        rows.map(VecDeque::from)
            .map_err(|error| Damage::new(Kind::Unreadable, Some(next), error.to_string()))
    }

    async fn check_row(&mut self, db: &mut dyn Snapshot, row: &Row) -> Result<(), Damage> {
        let next = self.tree.size();
        if row.index != next {
            // Rows come in order, so a smaller index means a page of the file that lies about its place.
            return Err(match row.index > next {
                true => self.missing(db, next, row.index).await?,
                false => Damage::new(Kind::Unreadable, Some(next), "entries are not in order"),
            });
        }
        let (leaf, hash) = entry::check(row)?;
        let expected = self.sequences.expected(&leaf.tenant);
        if leaf.tenant_seq != expected {
            return Err(locate::out_of_sequence(db, row.index, &leaf, expected).await?);
        }
        self.sequences.count(&leaf);
        self.unsigned.push(hash);
        self.filled.extend(self.tree.push(hash));
        self.check_checkpoint(db).await?;
        self.check_kept()
    }

    /// Checks the checkpoint over exactly the entries seen so far, if there is one.
    async fn check_checkpoint(&mut self, db: &mut dyn Snapshot) -> Result<(), Damage> {
        if self.checkpoints.next_size(db).await? != Some(self.tree.size()) {
            return Ok(());
        }
        let Some(checkpoint) = self.checkpoints.open_next(&self.key)? else {
            return Ok(());
        };
        if *checkpoint.root() != self.tree.root() {
            return Err(locate::unsigned_entry(db, &self.signed, &self.unsigned, &checkpoint).await?);
        }
        self.checked += 1;
        self.signed = self.tree.clone();
        self.unsigned.clear();
        for tile in std::mem::take(&mut self.filled) {
            self.check_tile(db, &tile).await?;
        }
        Ok(())
    }

    /// A checkpoint that was kept and the log must agree where they are over the same entries.
    fn check_kept(&self) -> Result<(), Damage> {
        let size = self.tree.size();
        let mut here = self.kept.iter().filter(|kept| kept.checkpoint.size() == size);
        match here.find(|kept| *kept.checkpoint.root() != self.tree.root()) {
            None => Ok(()),
            Some(kept) => Err(Damage::new(
                Kind::Forked,
                size.checked_sub(1),
                format!("{} over {size} entries has another root than the log", kept.name),
            )),
        }
    }

    async fn check_tile(&mut self, db: &mut dyn Snapshot, tile: &Tile) -> Result<(), Damage> {
        let stored = locate::stored_tile(db, tile.id()).await?;
        if stored.as_ref() == Some(tile) {
            self.tiles += 1;
            return Ok(());
        }
        let TileId { level, index } = tile.id();
        let detail = match stored {
            Some(_) => format!("tile {index} of level {level} holds other hashes"),
            None => format!("tile {index} of level {level} is missing"),
        };
        let last_leaf = (index + 1)
            .checked_shl(u32::from(level + 1) * 8)
            .and_then(|leaves| leaves.checked_sub(1));
        Err(Damage::new(Kind::TreeChanged, last_leaf, detail))
    }
}

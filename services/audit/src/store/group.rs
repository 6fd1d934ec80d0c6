//! A group of appends worked out in memory, before anything is written: the only place where events get their numbers.

use std::collections::HashMap;

use harombe_tlog::{Tile, TileBuilder};

use super::ledger::{Appended, Reply, Taken};
use super::row_id;
use crate::Error;
use crate::domain::{Draft, Leaf};

/// Events that are in the log already, by id: their index and their leaf.
pub(super) type Known = HashMap<[u8; 16], (u64, Leaf)>;

/// What a group of appends comes to.
pub(super) struct Plan {
    /// One for each append.
    pub(super) replies: Vec<Reply>,
    pub(super) rows: Vec<NewRow>,
    pub(super) tiles: Vec<Tile>,
    /// The tree with all of them.
    pub(super) tree: TileBuilder,
    /// The last number of each tenant that got one.
    pub(super) tenants: HashMap<String, u64>,
}

/// An entry as it is to be stored.
pub(super) struct NewRow {
    pub(super) index: i64,
    pub(super) id: [u8; 16],
    pub(super) hash: [u8; 32],
    pub(super) body: Vec<u8>,
    pub(super) sealed: Option<Vec<u8>>,
}

impl Plan {
    /// Gives every new event its place after `tree`. A batch with an id that belongs to another event is left out as a
    /// whole. `tenants` are the numbers given so far.
    pub(super) fn new(
        tree: TileBuilder,
        tenants: &HashMap<String, u64>,
        jobs: &[Vec<Draft>],
        known: &Known,
    ) -> Result<Self, Error> {
        let mut plan = Self {
            replies: Vec::with_capacity(jobs.len()),
            rows: Vec::new(),
            tiles: Vec::new(),
            tree,
            tenants: HashMap::new(),
        };
        let mut placed: HashMap<[u8; 16], (u64, &Draft)> = HashMap::new();
        for drafts in jobs {
            if has_taken_id(drafts, known, &placed) {
                plan.replies.push(Err(Taken));
                continue;
            }
            let mut appended = Appended::default();
            for (position, draft) in (0..).zip(drafts) {
                let earlier = known.get(&draft.id).map(|(index, leaf)| (*index, leaf));
                let twin = placed.get(&draft.id).map(|(index, twin)| (*index, &twin.leaf));
                let index = match earlier.or(twin) {
                    Some((index, leaf)) => {
                        if !draft.is_numbered_as(leaf) {
                            appended.recorded_before.push(position);
                        }
                        index
                    }
                    None => {
                        let index = plan.place(draft, tenants)?;
                        placed.insert(draft.id, (index, draft));
                        index
                    }
                };
                appended.indexes.push(index);
            }
            plan.replies.push(Ok(appended));
        }
        Ok(plan)
    }

    /// Appends one event to the tree.
    fn place(&mut self, draft: &Draft, tenants: &HashMap<String, u64>) -> Result<u64, Error> {
        let tenant = &draft.leaf.tenant;
        let last = self
            .tenants
            .get(tenant)
            .or_else(|| tenants.get(tenant))
            .copied()
            .unwrap_or(0);
        let leaf = Leaf {
            tenant_seq: last + 1,
            ..draft.leaf.clone()
        };
        let body = leaf.encode()?;
        let hash = Leaf::hash(&body);
        let index = self.tree.size();
        self.tiles.extend(self.tree.push(hash));
        self.rows.push(NewRow {
            index: row_id(index),
            id: draft.id,
            hash: *hash.as_bytes(),
            body,
            sealed: draft.sealed.clone(),
        });
        self.tenants.insert(leaf.tenant, leaf.tenant_seq);
        Ok(index)
    }
}

/// Whether one of the drafts has the id of another event: in the log, earlier in the group, or beside it in its batch.
fn has_taken_id(drafts: &[Draft], known: &Known, placed: &HashMap<[u8; 16], (u64, &Draft)>) -> bool {
    let mut own: HashMap<[u8; 16], &Draft> = HashMap::new();
    drafts.iter().any(|draft| {
        let in_log = known
            .get(&draft.id)
            .is_some_and(|(_, leaf)| !draft.is_repeated_by(leaf));
        let earlier = placed.get(&draft.id).map(|(_, other)| *other);
        let twin = earlier.or_else(|| own.insert(draft.id, draft));
        in_log || twin.is_some_and(|other| !draft.is_repeated_by(&other.leaf))
    })
}

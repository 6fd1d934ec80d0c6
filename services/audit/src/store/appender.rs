//! The writer's side: a whole group of appends in one transaction, under one signed checkpoint.

use std::collections::HashMap;
use std::sync::Arc;

use harombe_sql::{BulkInsert, Connection, Error as SqlError, Handler};
use harombe_tlog::{SigningKey, Tile, TileBuilder};
use sqlx::Row as _;
use tokio::sync::watch;

use super::{Head, Lane, open};
use crate::Error;
use crate::domain::{Draft, Leaf};

/// The event id is in the log already, and belongs to another event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken;

/// Where the events of one append stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Appended {
    /// One for each event, in the order sent.
    pub(crate) indexes: Vec<u64>,
    /// Positions of events that were recorded before under another number.
    pub(crate) recorded_before: Vec<u32>,
}

type Reply = Result<Appended, Taken>;

/// Writes groups of events. What it knows between two groups is what the last commit left.
pub(crate) struct Appender {
    key: SigningKey,
    head: watch::Sender<Arc<Head>>,
    /// The last sequence number of each tenant.
    tenants: HashMap<String, u64>,
    /// What becomes true when the open transaction commits.
    pending: Option<Pending>,
    entries: BulkInsert,
}

struct Pending {
    head: Head,
    tenants: HashMap<String, u64>,
}

/// A group worked out in memory, before anything is written.
struct Plan {
    replies: Vec<Reply>,
    rows: Vec<NewRow>,
    tiles: Vec<Tile>,
    tree: TileBuilder,
    tenants: HashMap<String, u64>,
}

struct NewRow {
    index: i64,
    id: [u8; 16],
    hash: [u8; 32],
    body: Vec<u8>,
    sealed: Option<Vec<u8>>,
}

/// Events that are in the log already, by id: their index and their leaf.
type Known = HashMap<[u8; 16], (u64, Leaf)>;

impl Appender {
    pub(crate) fn new(
        key: SigningKey,
        head: watch::Sender<Arc<Head>>,
        tenants: HashMap<String, u64>,
    ) -> Self {
        let entries = BulkInsert::new("INSERT INTO entries (idx, event_id, hash, body, details)", 5);
        Self {
            key,
            head,
            tenants,
            pending: None,
            entries,
        }
    }

    fn base(&self) -> Arc<Head> {
        Arc::clone(&self.head.borrow())
    }

    /// Gives every new event its place. A batch with an id that belongs to another event is left out as a whole.
    fn plan(&self, jobs: &[Vec<Draft>], known: &Known) -> Result<Plan, Error> {
        let mut plan = Plan {
            replies: Vec::with_capacity(jobs.len()),
            rows: Vec::new(),
            tiles: Vec::new(),
            tree: self.base().tree().clone(),
            tenants: HashMap::new(),
        };
        let mut placed: HashMap<[u8; 16], (u64, &Draft)> = HashMap::new();
        for drafts in jobs {
            let mut own: HashMap<[u8; 16], &Draft> = HashMap::new();
            let is_taken = drafts.iter().any(|draft| {
                let in_log = known
                    .get(&draft.id)
                    .is_some_and(|(_, leaf)| !draft.is_repeated_by(leaf));
                let earlier = placed.get(&draft.id).map(|(_, other)| *other);
                let twin = earlier.or_else(|| own.insert(draft.id, draft));
                in_log || twin.is_some_and(|other| !draft.is_repeated_by(&other.leaf))
            });
            if is_taken {
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
                        let index = plan.place(draft, &self.tenants)?;
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

    /// Writes the rows of a plan; when an id turns out to be in the log already, finds out which, and plans again.
    async fn write_entries(&self, tx: &mut Connection, jobs: &[Vec<Draft>]) -> Result<Plan, SqlError> {
        let mut plan = self.plan(jobs, &Known::new()).map_err(SqlError::handler)?;
        match self.insert(tx, std::mem::take(&mut plan.rows)).await {
            Ok(()) => return Ok(plan),
            Err(error) if error.is_unique_violation() => {}
            Err(error) => return Err(error),
        }
        // Ids are looked up only now: repetitions are rare, and a lookup for every event costs all of them.
        sqlx::query("DELETE FROM entries WHERE idx >= ?")
            .bind(row_id(self.base().size()))
            .execute(&mut *tx)
            .await?;
        let known = lookup(tx, jobs).await?;
        let mut plan = self.plan(jobs, &known).map_err(SqlError::handler)?;
        self.insert(tx, std::mem::take(&mut plan.rows)).await?;
        Ok(plan)
    }

    async fn insert(&self, tx: &mut Connection, rows: Vec<NewRow>) -> Result<(), SqlError> {
        self.entries
            .insert(tx, rows, |query, row| {
                query
                    .bind(row.index)
                    .bind(row.id.to_vec())
                    .bind(row.hash.to_vec())
                    .bind(row.body)
                    .bind(row.sealed)
            })
            .await
    }

    /// The file decides what is true, not what this process remembers: a commit whose failure was reported may be there
    /// after all, and another process with the same key may have appended.
    async fn reconcile(&mut self, tx: &mut Connection) -> Result<(), SqlError> {
        let size: i64 = sqlx::query_scalar("SELECT coalesce(max(idx) + 1, 0) FROM entries")
            .fetch_one(&mut *tx)
            .await?;
        if row_id(self.base().size()) != size {
            let (head, tenants) = open::state(tx, &self.key).await.map_err(SqlError::handler)?;
            self.head.send_replace(Arc::new(head));
            self.tenants = tenants;
        }
        Ok(())
    }
}

impl Plan {
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

impl Handler for Appender {
    type Job = Vec<Draft>;
    type Reply = Reply;
    type Key = Lane;

    async fn apply(&mut self, tx: &mut Connection, jobs: Vec<Vec<Draft>>) -> Result<Vec<Reply>, SqlError> {
        self.reconcile(tx).await?;
        let plan = self.write_entries(tx, &jobs).await?;
        if plan.tenants.is_empty() {
            return Ok(plan.replies);
        }
        for tile in &plan.tiles {
            sqlx::query("INSERT INTO tiles (level, idx, hashes) VALUES (?, ?, ?)")
                .bind(i64::from(tile.id().level))
                .bind(row_id(tile.id().index))
                .bind(tile.to_bytes())
                .execute(&mut *tx)
                .await?;
        }
        for (tenant, seq) in &plan.tenants {
            sqlx::query("INSERT INTO tenants (tenant, seq) VALUES (?, ?) ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq")
                .bind(tenant.clone())
                .bind(row_id(*seq))
                .execute(&mut *tx)
                .await?;
        }
        let head = Head::sign(plan.tree, &self.key).map_err(SqlError::handler)?;
        sqlx::query("INSERT INTO checkpoints (size, note) VALUES (?, ?)")
            .bind(row_id(head.size()))
            .bind(head.note().to_owned())
            .execute(&mut *tx)
            .await?;
        self.pending = Some(Pending {
            head,
            tenants: plan.tenants,
        });
        Ok(plan.replies)
    }

    fn committed(&mut self) {
        if let Some(Pending { head, tenants }) = self.pending.take() {
            self.tenants.extend(tenants);
            self.head.send_replace(Arc::new(head));
        }
    }

    fn rolled_back(&mut self) {
        self.pending = None;
    }
}

/// Which of the events are in the log already.
async fn lookup(tx: &mut Connection, jobs: &[Vec<Draft>]) -> Result<Known, SqlError> {
    let mut known = Known::new();
    for draft in jobs.iter().flatten() {
        let found = sqlx::query("SELECT idx, body FROM entries WHERE event_id = ?")
            .bind(draft.id.to_vec())
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(row) = found {
            let index: i64 = row.try_get(0)?;
            let body: Vec<u8> = row.try_get(1)?;
            let leaf = Leaf::decode(&body).map_err(SqlError::handler)?;
            known.insert(draft.id, (index.unsigned_abs(), leaf));
        }
    }
    Ok(known)
}

/// A tree position as SQLite holds it. Trees beyond `i64::MAX` leaves are refused long before.
pub(crate) fn row_id(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

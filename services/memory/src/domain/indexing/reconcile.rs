//! Compares all vectors with all memories, both in the order of their points: what is missing is embedded, what is too much
//! removed, what is of another time made again.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use harombe_vectors::Collection;
use uuid::Uuid;

use super::generations::Set;
use super::outbox::{delete, passage};
use super::writer::{self, Passage};
use super::{Fault, Indexer};
use crate::domain::{Owner, Stored};

/// Points and memories that are compared at once.
const PAGE: u32 = 1_000;
/// Memories that are noted before they are embedded, owner by owner.
const NOTED: usize = 20_000;
/// So few of an owner's are read by their points; for more all of the owner's are read, once.
const FEW: usize = 64;

/// What is found missing.
#[derive(Default)]
struct Missing {
    by_owner: HashMap<Owner, HashSet<Uuid>>,
    noted: usize,
}

type There = VecDeque<(Uuid, String, u64)>;

impl Indexer {
    /// Makes the target as the memories are.
    pub(super) async fn reconcile(&self) -> Result<(), Fault> {
        let target = self
            .prepared
            .as_ref()
            .and_then(|prepared| prepared.target.clone());
        let Some(target) = target else { return Ok(()) };
        for collection in &target.model.collections {
            self.compare(&target, collection).await?;
        }
        Ok(())
    }

    async fn compare(&self, target: &Set, collection: &Collection) -> Result<(), Fault> {
        let mut missing = Missing::default();
        let mut after = None;
        loop {
            self.hold().await?;
            // the vectors first: what is not in the store later on is gone
            let page = target.model.vectors.ids(collection, after, PAGE).await?;
            let full = u32::try_from(page.len()).is_ok_and(|length| length >= PAGE);
            let until = page.last().map(|(point, _, _)| *point).filter(|_| full);
            self.compare_page(target, collection, (after, until), page.into(), &mut missing)
                .await?;
            if until.is_none() {
                return self.fill(target, missing).await;
            }
            after = until;
        }
    }

    /// Compares what lies between two points.
    async fn compare_page(
        &self,
        target: &Set,
        collection: &Collection,
        (mut after, until): (Option<Uuid>, Option<Uuid>),
        mut there: There,
        missing: &mut Missing,
    ) -> Result<(), Fault> {
        let mut surplus: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
        loop {
            let rows = self.deps.memories.stored(after, PAGE).await?;
            after = rows.last().map(|row| row.point).or(after);
            // a page may be shorter than it could be, by rows that cannot be read
            let mut ended = rows.is_empty();
            for row in rows {
                if until.is_some_and(|until| row.point > until) {
                    ended = true;
                    break;
                }
                while let Some((point, tenant, _)) = there.pop_front_if(|(point, _, _)| *point < row.point) {
                    surplus.entry(tenant).or_default().push(point);
                }
                match there.pop_front_if(|(point, _, _)| *point == row.point) {
                    Some((_, tenant, seq)) if tenant == row.owner.tenant.as_str() && seq == row.seq => {}
                    Some((point, tenant, _)) if tenant != row.owner.tenant.as_str() => {
                        surplus.entry(tenant).or_default().push(point);
                        missing.note(row);
                    }
                    _ => missing.note(row),
                }
            }
            if missing.noted >= NOTED {
                self.fill(target, std::mem::take(missing)).await?;
            }
            if ended {
                break;
            }
        }
        for (point, tenant, _) in there {
            surplus.entry(tenant).or_default().push(point);
        }
        for (tenant, points) in surplus {
            self.deps.numbers.reconciled_away(points.len());
            delete(&*target.model.vectors, collection, &tenant, &points).await?;
        }
        Ok(())
    }

    /// Embeds what is missing.
    async fn fill(&self, target: &Set, missing: Missing) -> Result<(), Fault> {
        if missing.noted > 0 {
            tracing::info!(memories = missing.noted, model = %target.generation.name, "memories are embedded that have no vectors");
        }
        for (owner, wanted) in missing.by_owner {
            if wanted.len() > FEW {
                self.fill_many(target, &owner, wanted).await?;
            } else {
                let passages = self.passages(&owner, wanted.into_iter().collect()).await?;
                self.embed(target, &owner, passages).await?;
            }
        }
        Ok(())
    }

    /// Reads all memories of an owner, in the order in which they changed, to embed those that are wanted.
    async fn fill_many(&self, target: &Set, owner: &Owner, wanted: HashSet<Uuid>) -> Result<(), Fault> {
        let mut rev = 0;
        loop {
            let page = self.deps.memories.changed_since(owner, rev, PAGE).await?;
            rev = page.last().map_or(rev, |last| last.rev);
            let due = page.iter().filter(|memory| wanted.contains(&memory.point));
            self.embed(target, owner, due.map(passage).collect()).await?;
            if u32::try_from(page.len()).is_ok_and(|length| length < PAGE) {
                return Ok(());
            }
        }
    }

    /// Writes an owner's passages, a batch at a time: what changes meanwhile need not wait for all of them.
    async fn embed(&self, target: &Set, owner: &Owner, mut passages: Vec<Passage>) -> Result<(), Fault> {
        passages.retain(|passage| !self.is_set_aside(passage.point));
        for batch in passages.chunks(writer::BATCH) {
            self.hold().await?;
            let batch = self.still_there(owner, batch).await?;
            let refused = writer::write(self, &target.model, &batch).await?;
            self.deps
                .numbers
                .filled(batch.len().saturating_sub(refused.len()));
            self.set_aside(refused);
            self.drain().await?;
        }
        Ok(())
    }

    /// Those of the memories that are there as they were read. Of what has been erased since, the outbox may have been emptied: once it
    /// is written, nothing takes it away again. What is erased from now on is in the outbox until the batch is written.
    async fn still_there(&self, owner: &Owner, batch: &[Passage]) -> Result<Vec<Passage>, Fault> {
        let points: Vec<Uuid> = batch.iter().map(|passage| passage.point).collect();
        let memories = self.deps.memories.at_points(owner, &points).await?;
        let there: HashSet<(Uuid, u64)> = memories.iter().map(|memory| (memory.point, memory.seq)).collect();
        let still = |passage: &&Passage| there.contains(&(passage.point, passage.tags.seq));
        Ok(batch.iter().filter(still).cloned().collect())
    }
}

impl Missing {
    fn note(&mut self, row: Stored) {
        if self.by_owner.entry(row.owner).or_default().insert(row.point) {
            self.noted += 1;
        }
    }
}

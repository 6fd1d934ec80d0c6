//! What has changed, from the outbox into the vectors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use harombe_retrieval::Passages;
use harombe_vectors::{Collection, Vectors};
use uuid::Uuid;

use super::generations::Prepared;
use super::writer::{self, Passage};
use super::{Fault, Indexer};
use crate::domain::recall::{Model, item};
use crate::domain::{Generation, Memory, Owner, What, Work};

/// Rows that are taken out at once.
const ROWS: u32 = 128;

impl Indexer {
    /// Empties the outbox.
    pub(super) async fn drain(&self) -> Result<(), Fault> {
        let Some(prepared) = &self.prepared else {
            return Ok(());
        };
        loop {
            let works = self.deps.memories.outbox(ROWS).await?;
            if works.is_empty() {
                self.deps.numbers.set_outbox(0);
                return Ok(());
            }
            self.deps
                .numbers
                .set_outbox(self.deps.generations.waiting().await?);
            self.hold().await?;
            let done: Vec<u64> = works.iter().map(|work| work.seq).collect();
            self.apply(prepared, works).await?;
            self.deps.memories.finished(&done).await?;
            self.deps.numbers.worked_off(done.len());
        }
    }

    async fn apply(&self, prepared: &Prepared, works: Vec<Work>) -> Result<(), Fault> {
        // of several changes of a memory the last one counts
        let last: HashMap<Uuid, Work> = works.into_iter().map(|work| (work.point, work)).collect();
        let mut puts: HashMap<Owner, Vec<Uuid>> = HashMap::new();
        let mut deletes: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
        for (point, work) in last {
            match work.what {
                What::Put => puts.entry(work.owner).or_default().push(point),
                What::Delete => deletes
                    .entry(work.owner.tenant.to_string())
                    .or_default()
                    .push(point),
            }
        }
        for (tenant, points) in deletes {
            prepared.delete(&tenant, &points).await?;
        }
        let Some(target) = &prepared.target else {
            // a model that comes finds out by itself what it has not got
            return Ok(());
        };
        let mut passages = Vec::new();
        for (owner, points) in puts {
            passages.extend(self.passages(&owner, points).await?);
        }
        if let Some(old) = &prepared.old
            && let Err(fault) = self.write_new(&old.model, passages.clone()).await
        {
            if matches!(fault, Fault::Superseded) {
                return Err(fault);
            }
            // it is on its way out, and must not hold up what replaces it
            tracing::debug!(error = %fault, "a memory is not found by the meaning of the old model");
        }
        let refused = writer::write(self, &target.model, &passages).await?;
        self.set_aside(refused);
        Ok(())
    }

    /// Writes what is not there yet: the old model's vectors of other memories are good as they are.
    async fn write_new(&self, model: &Arc<Model>, mut passages: Vec<Passage>) -> Result<(), Fault> {
        let Some(collection) = model.collections.first() else {
            return Ok(());
        };
        let mut by_tenant: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
        for passage in &passages {
            by_tenant
                .entry(passage.tags.tenant.clone())
                .or_default()
                .push(passage.point);
        }
        let mut there = HashSet::new();
        for (tenant, points) in by_tenant {
            let found = model.vectors.get(collection, &tenant, points).await?;
            there.extend(found.into_iter().map(|(point, _)| point));
        }
        passages.retain(|passage| !there.contains(&passage.point));
        // what it refuses is not found by the meaning of a model that goes anyway
        writer::write(self, model, &passages).await.map(drop)
    }

    /// What is embedded of an owner's memories. Hidden ones are too: they may be restored.
    pub(super) async fn passages(&self, owner: &Owner, points: Vec<Uuid>) -> Result<Vec<Passage>, Fault> {
        let wanted: HashSet<Uuid> = points.into_iter().collect();
        let wanted: Vec<Uuid> = wanted.into_iter().collect();
        let mut passages = Vec::with_capacity(wanted.len());
        for page in wanted.chunks(500) {
            let memories = self.deps.memories.at_points(owner, page).await?;
            passages.extend(memories.iter().map(passage));
        }
        Ok(passages)
    }
}

/// What is embedded of a memory: it depends on no other.
pub(super) fn passage(memory: &Memory) -> Passage {
    Passage::of(memory, Passages::of(&item(memory)).texts)
}

impl Prepared {
    /// Removes vectors from all that there are.
    async fn delete(&self, tenant: &str, points: &[Uuid]) -> Result<(), Fault> {
        let target = self.target.iter().map(|target| target.model.collections.clone());
        let others = self.others.iter().map(Generation::collections);
        let collections: Vec<Collection> = target.chain(others).flatten().collect();
        for collection in collections {
            delete(&*self.vectors, &collection, tenant, points).await?;
        }
        Ok(())
    }
}

/// There may be no such collection: then there is nothing to remove.
pub(super) async fn delete(
    vectors: &dyn Vectors,
    collection: &Collection,
    tenant: &str,
    points: &[Uuid],
) -> Result<(), Fault> {
    for points in points.chunks(1_000) {
        match vectors.delete(collection, tenant, points.to_vec()).await {
            Ok(()) | Err(harombe_vectors::Error::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

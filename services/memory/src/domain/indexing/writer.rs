//! Writes memories' vectors: their passages are embedded in batches, across owners.

use std::sync::Arc;

use harombe_embedding::Purpose;
use harombe_vectors::{Point, Tags};
use uuid::Uuid;

use super::{Fault, Indexer};
use crate::domain::Memory;
use crate::domain::recall::{Model, kind_number, label};

/// Passages that are embedded and written at once.
pub(super) const BATCH: usize = 64;

/// A memory as it is embedded.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    pub(super) tags: Tags,
    pub(super) point: Uuid,
    /// One for each view.
    pub(super) texts: Vec<String>,
}

/// A memory whose text the model refuses, while it takes others.
pub(super) struct Refused {
    pub(super) point: Uuid,
    pub(super) error: harombe_embedding::Error,
}

impl Passage {
    pub(super) fn of(memory: &Memory, texts: Vec<String>) -> Self {
        let tags = Tags {
            tenant: memory.owner.tenant.to_string(),
            subject: memory.owner.subject.to_string(),
            agent: memory.agent.clone(),
            session: memory.session.map(|session| *session.as_uuid()),
            kind: kind_number(memory.kind),
            label: label(memory.label),
            time_ms: memory.time.as_millis(),
            seq: memory.seq,
        };
        Self {
            tags,
            point: memory.point,
            texts,
        }
    }
}

/// What every model takes.
const PLAIN: &str = "memory";

/// Embeds and writes them all, but for those whose texts the model refuses: answers with them.
///
/// # Errors
/// The model's or the vectors', or another process writes; some may be written then.
pub(super) async fn write(
    indexer: &Indexer,
    model: &Arc<Model>,
    passages: &[Passage],
) -> Result<Vec<Refused>, Fault> {
    let mut refused = Vec::new();
    for batch in passages.chunks(BATCH) {
        match write_batch(indexer, model, batch).await {
            Err(Fault::Embedding(error)) if error.may_be_the_texts() => {
                refused.extend(apart(indexer, model, batch).await?);
            }
            written => written?,
        }
    }
    Ok(refused)
}

async fn write_batch(indexer: &Indexer, model: &Arc<Model>, batch: &[Passage]) -> Result<(), Fault> {
    for (view, collection) in model.collections.iter().enumerate() {
        let texts = batch.iter().map(|passage| text(passage, view)).collect();
        let vectors = model.embedder.embed(texts, Purpose::Passage).await?;
        let points = batch.iter().zip(vectors).map(|(passage, vector)| Point {
            id: passage.point,
            vector,
            tags: passage.tags.clone(),
        });
        // embedding takes as long as it takes: somebody else may write by now, and have removed one of these
        indexer.hold().await?;
        model.vectors.upsert(collection, points.collect()).await?;
    }
    Ok(())
}

fn text(passage: &Passage, view: usize) -> String {
    passage.texts.get(view).cloned().unwrap_or_default()
}

/// Writes those whose texts the model takes, and finds by halves those that it refuses.
async fn apart(indexer: &Indexer, model: &Arc<Model>, batch: &[Passage]) -> Result<Vec<Refused>, Fault> {
    // that it takes nothing at all is no memory's fault
    takes_others(model).await?;
    let mut refused = Vec::new();
    let mut parts: Vec<&[Passage]> = halves(batch).rev().collect();
    while let Some(part) = parts.pop() {
        match (write_batch(indexer, model, part).await, part) {
            (Ok(()), _) => {}
            (Err(Fault::Embedding(error)), [one]) if error.may_be_the_texts() => {
                refused.push(Refused {
                    point: one.point,
                    error,
                });
            }
            (Err(Fault::Embedding(error)), _) if error.may_be_the_texts() => {
                parts.extend(halves(part).rev());
            }
            (Err(fault), _) => return Err(fault),
        }
    }
    // nor that it has begun to meanwhile
    takes_others(model).await?;
    Ok(refused)
}

fn halves(batch: &[Passage]) -> std::slice::Chunks<'_, Passage> {
    batch.chunks(batch.len().div_ceil(2).max(1))
}

async fn takes_others(model: &Arc<Model>) -> Result<(), Fault> {
    let plain = vec![PLAIN.to_owned()];
    model.embedder.embed(plain, Purpose::Passage).await?;
    Ok(())
}

//! Writes memories' vectors: their passages are embedded in batches, across owners.

use std::sync::Arc;

use harombe_embedding::Purpose;
use harombe_vectors::{Point, Tags};
use uuid::Uuid;

use super::Fault;
use crate::domain::Memory;
use crate::domain::recall::{Model, kind_number, label};
use crate::metrics::IndexNumbers;

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

/// Embeds and writes them all. One that the model cannot take is passed over while others can be: it is looked at again
/// at the next start.
///
/// # Errors
/// The model's or the vectors'; some may be written then.
pub(super) async fn write(
    model: &Arc<Model>,
    passages: &[Passage],
    numbers: &IndexNumbers,
) -> Result<(), Fault> {
    for batch in passages.chunks(BATCH) {
        let Err(fault) = write_batch(model, batch).await else {
            continue;
        };
        match &fault {
            Fault::Embedding(error) if !error.is_retryable() && batch.len() > 1 => {
                one_by_one(model, batch, fault, numbers).await?;
            }
            _ => return Err(fault),
        }
    }
    Ok(())
}

async fn write_batch(model: &Arc<Model>, batch: &[Passage]) -> Result<(), Fault> {
    for (view, collection) in model.collections.iter().enumerate() {
        let texts = batch.iter().map(|passage| text(passage, view)).collect();
        let vectors = model.embedder.embed(texts, Purpose::Passage).await?;
        let points = batch.iter().zip(vectors).map(|(passage, vector)| Point {
            id: passage.point,
            vector,
            tags: passage.tags.clone(),
        });
        model.vectors.upsert(collection, points.collect()).await?;
    }
    Ok(())
}

fn text(passage: &Passage, view: usize) -> String {
    passage.texts.get(view).cloned().unwrap_or_default()
}

async fn one_by_one(
    model: &Arc<Model>,
    batch: &[Passage],
    whole: Fault,
    numbers: &IndexNumbers,
) -> Result<(), Fault> {
    let mut refused = Vec::new();
    for passage in batch {
        match write_batch(model, std::slice::from_ref(passage)).await {
            Ok(()) => {}
            Err(Fault::Embedding(error)) if !error.is_retryable() => refused.push((passage.point, error)),
            Err(fault) => return Err(fault),
        }
    }
    // that none can be embedded is no memory's fault
    if refused.len() == batch.len() {
        return Err(whole);
    }
    for (point, error) in refused {
        numbers.given_up();
        tracing::error!(%point, %error, "a memory cannot be embedded; it is found by its words alone");
    }
    Ok(())
}

//! Facts saved as runtime saves them: durable, on record, and found by their words when the call returns.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use harombe_embedding::{Local, LocalConfig};
use harombe_proto::memory::v1::{RecallRequest, RememberRequest, TrustLabel};
use harombe_types::{EventId, SystemClock};
use serde_json::{Value, json};

use super::{Callers, corpus};
use crate::measure::{self, Report, micros, nanos};
use crate::what::Result;
use crate::what::world::World;
use crate::{Plan, raw};

/// One in so many is looked for right after it was saved; its saving alone is timed.
const LOOKED_FOR: u32 = 64;
/// Facts with which the model's own speed is measured.
const SAMPLE: u32 = 512;

pub(in crate::what) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::embedded(plan).await?;
    let fdatasync = raw::fdatasync_p50_us(world.path())?;
    let callers = Arc::new(Callers::new(&world, plan.tenants)?);
    callers.begin().await?;
    let (saved, missing) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let began = Instant::now();
    let report = measure::run(plan, {
        let (callers, saved, missing) = (Arc::clone(&callers), Arc::clone(&saved), Arc::clone(&missing));
        let tenants = plan.tenants;
        move || {
            let (callers, missing) = (Arc::clone(&callers), Arc::clone(&missing));
            let nth = saved.fetch_add(1, Ordering::Relaxed);
            async move {
                let round = measure::timed(callers.remember(nth % tenants, nth)).await;
                if nth % LOOKED_FOR == 0 && !callers.finds(nth % tenants, nth).await {
                    missing.fetch_add(1, Ordering::Relaxed);
                }
                round
            }
        }
    })
    .await;
    let saved = saved.load(Ordering::Relaxed);
    let mut embedding = Value::Null;
    if let Some(folder) = &plan.model {
        callers.embedded().await?;
        embedding = followed(folder, plan.tenants, saved, began.elapsed()).await?;
    }
    world.close().await;
    Ok(report
        .with("fdatasync_p50_us", fdatasync)
        .with("tenants", plan.tenants)
        .with("looked_for", saved.div_ceil(LOOKED_FOR))
        .with("not_found", missing.load(Ordering::Relaxed))
        .with("embedding", embedding))
}

/// How fast embedding followed, from the first fact that was saved to the last one that was embedded, and how fast the same
/// model is with nothing else to do.
async fn followed(folder: &Path, tenants: u32, saved: u32, took: Duration) -> Result<Value> {
    let engine = Local::open(folder, &LocalConfig::default())?;
    // the model puts two around each
    let tokens = |nth| engine.count_tokens(&text(nth % tenants, nth)) + 2;
    let all: usize = (0..saved).map(tokens).sum();
    let sample: Vec<_> = (0..saved.min(SAMPLE))
        .map(|nth| text(nth % tenants, nth))
        .collect();
    let raw = harombe_embedding::measure(&engine, &sample).await?;
    Ok(json!({
        "texts": saved,
        "tokens_per_s": (all as f64 / took.as_secs_f64()).round(),
        "raw_tokens_per_s": raw.tokens_per_second.round(),
        "raw_query_p50_us": micros(nanos(raw.query_p50)),
        "embedded_after_s": took.as_secs_f64().round(),
    }))
}

/// What the fact with that number says.
fn text(tenant: u32, nth: u32) -> String {
    format!("{} {}", corpus::sentence(tenant, nth).text, mark(nth))
}

/// A word that no other memory has.
fn mark(nth: u32) -> String {
    format!("mark{nth}x")
}

impl Callers {
    async fn remember(&self, tenant: u32, nth: u32) -> bool {
        let message = RememberRequest {
            memory_id: EventId::generate(&SystemClock).to_string(),
            text: text(tenant, nth),
            label: TrustLabel::Model.into(),
            ..RememberRequest::default()
        };
        match self.as_run(tenant, message) {
            Some(request) => self.runs.clone().remember(request).await.is_ok(),
            None => false,
        }
    }

    async fn finds(&self, tenant: u32, nth: u32) -> bool {
        let message = RecallRequest {
            query: mark(nth),
            limit: 1,
            ..RecallRequest::default()
        };
        let Some(request) = self.as_run(tenant, message) else {
            return false;
        };
        let answer = self.runs.clone().recall(request).await;
        answer.is_ok_and(|answer| {
            let hit = answer.into_inner().hits.into_iter().next();
            let memory = hit.and_then(|hit| hit.memory);
            memory.is_some_and(|memory| memory.text.ends_with(&mark(nth)))
        })
    }
}

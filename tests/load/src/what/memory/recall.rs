//! Questions to memory, as runtime asks them: new ones, which are embedded first, and ones that were asked before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use harombe_proto::memory::v1::RecallMeans;
use serde_json::Value;

use super::own::means;
use super::{Callers, corpus, per_second};
use crate::Plan;
use crate::measure::{self, Report};
use crate::what::Result;
use crate::what::world::World;

/// Memories of all tenants together, when it is not said.
const MEMORIES: u32 = 100_000;
/// Questions that are asked again and again.
const REPEATED: u32 = 64;
/// Callers that ask them.
const CROWD: u32 = 16;

pub(in crate::what) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::embedded(plan).await?;
    let callers = Arc::new(Callers::new(&world, plan.tenants)?);
    let each = plan.memories.unwrap_or(MEMORIES) / plan.tenants;
    if each == 0 {
        return Err("each tenant has a memory at least; give more --memories or fewer --tenants".into());
    }
    let memories = each * plan.tenants;
    let began = Instant::now();
    callers.fill(each).await?;
    let imported = began.elapsed();
    let mut embedded = Value::Null;
    let wanted = if plan.model.is_some() {
        callers.embedded().await?;
        embedded = per_second(memories, began.elapsed()).into();
        RecallMeans::Hybrid
    } else {
        RecallMeans::Lexical
    };
    let asked = Arc::new(AtomicU32::new(REPEATED));
    let fresh = ask(plan, &callers, wanted, move || {
        asked.fetch_add(1, Ordering::Relaxed)
    })
    .await;
    let one = again(plan, &callers, wanted).await;
    let crowd = Plan {
        concurrency: CROWD,
        ..plan.clone()
    };
    let many = again(&crowd, &callers, wanted).await;
    world.close().await;
    Ok(fresh
        .with("means", means(wanted))
        .with("nothing_found", callers.nothing_found.load(Ordering::Relaxed))
        .with("memories", memories)
        .with("tenants", plan.tenants)
        .with("imported_per_s", per_second(memories, imported))
        .with("embedded_per_s", embedded)
        .with("asked_before_p50_us", one.p50_us())
        .with("asked_before_per_s", many.per_second())
        .with("asked_before_errors", one.errors() + many.errors()))
}

/// Questions that were asked before.
async fn again(plan: &Plan, callers: &Arc<Callers>, wanted: RecallMeans) -> Report {
    let asked = Arc::new(AtomicU32::new(0));
    ask(plan, callers, wanted, move || {
        asked.fetch_add(1, Ordering::Relaxed) % REPEATED
    })
    .await
}

async fn ask<F>(plan: &Plan, callers: &Arc<Callers>, wanted: RecallMeans, next: F) -> Report
where
    F: Fn() -> u32 + Clone + Send + 'static,
{
    let (callers, tenants) = (Arc::clone(callers), plan.tenants);
    measure::run(plan, move || {
        let (callers, question) = (Arc::clone(&callers), next());
        async move {
            let recall = callers.recall(question % tenants, corpus::question(question), wanted);
            measure::timed(recall).await
        }
    })
    .await
}

//! Questions to memory, as runtime asks them: new ones, which are embedded first, and ones that were asked before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use harombe_proto::memory::v1::RecallMeans;

use super::{Callers, corpus};
use crate::Plan;
use crate::measure::{self, Report};
use crate::what::Result;
use crate::what::world::World;

/// Questions that are asked again and again.
const REPEATED: u32 = 64;
/// Callers that ask them.
const CROWD: u32 = 16;

pub(in crate::what) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::embedded(plan).await?;
    let callers = Arc::new(Callers::new(&world, plan.tenants)?);
    let filled = callers.fill(plan.memories / plan.tenants).await?;
    let wanted = if plan.model.is_some() {
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
        .with("memories", plan.memories)
        .with("tenants", plan.tenants)
        .with("imported_per_s", per_second(plan.memories, filled.imported))
        .with("embedded_per_s", per_second(plan.memories, filled.embedded))
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

fn per_second(count: u32, took: std::time::Duration) -> f64 {
    (f64::from(count) / took.as_secs_f64().max(f64::MIN_POSITIVE)).round()
}

//! Facts saved as runtime saves them: durable, on record, and found by their words when the call returns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use harombe_proto::memory::v1::{RecallRequest, RememberRequest, TrustLabel};
use harombe_types::{EventId, SystemClock};

use super::{Callers, corpus};
use crate::measure::{self, Report};
use crate::what::Result;
use crate::what::world::World;
use crate::{Plan, raw};

/// One in so many is looked for right after it was saved; its saving alone is timed.
const LOOKED_FOR: u32 = 64;

pub(in crate::what) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::embedded(plan).await?;
    let fdatasync = raw::fdatasync_p50_us(world.path())?;
    let callers = Arc::new(Callers::new(&world, plan.tenants)?);
    let (saved, missing) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let tenants = plan.tenants;
    let (counter, lost) = (Arc::clone(&saved), Arc::clone(&missing));
    let report = measure::run(plan, move || {
        let (callers, counter, lost) = (Arc::clone(&callers), Arc::clone(&counter), Arc::clone(&lost));
        async move {
            let nth = counter.fetch_add(1, Ordering::Relaxed);
            let round = measure::timed(callers.remember(nth % tenants, nth)).await;
            if nth % LOOKED_FOR == 0 && !callers.finds(nth % tenants, nth).await {
                lost.fetch_add(1, Ordering::Relaxed);
            }
            round
        }
    })
    .await;
    world.close().await;
    Ok(report
        .with("fdatasync_p50_us", fdatasync)
        .with("tenants", plan.tenants)
        .with("looked_for", saved.load(Ordering::Relaxed).div_ceil(LOOKED_FOR))
        .with("not_found", missing.load(Ordering::Relaxed)))
}

/// A word that no other memory has.
fn mark(nth: u32) -> String {
    format!("mark{nth}x")
}

impl Callers {
    pub(super) async fn remember(&self, tenant: u32, nth: u32) -> bool {
        let message = RememberRequest {
            memory_id: EventId::generate(&SystemClock).to_string(),
            text: format!("{} {}", corpus::sentence(tenant, nth).text, mark(nth)),
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

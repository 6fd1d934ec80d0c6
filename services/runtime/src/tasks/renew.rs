//! Keeps the leases of all runs that this node drives, many with one call.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use harombe_proto::memory::v1::{HeldLease, Renewal};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::live::{Hub, LiveRun};
use crate::peers::{Memory, is_unreachable};

/// Leases of one call: what memory takes.
const BATCH: usize = 512;

/// How often to look which leases are due, and to try again what failed; a lease lasts a second or more.
const LOOK: Duration = Duration::from_millis(100);

/// Renews what is due until `stop`. A run whose lease is lost is told so at once; one whose lease cannot be renewed stops by
/// itself when the lease ends.
pub(crate) async fn run(hub: Hub, memory: Memory, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let due = hub.due(Instant::now());
        let batches = due.chunks(BATCH).map(|runs| renew(&memory, runs));
        stop.run_until_cancelled(join_all(batches)).await;
    }
}

async fn renew(memory: &Memory, runs: &[Arc<LiveRun>]) {
    let leases = runs.iter().map(|run| HeldLease {
        tenant: run.tenant.to_string(),
        run_id: run.id.to_string(),
        epoch: run.epoch,
    });
    // an answer that comes when the first of these leases is over is of no use to it, and there must be time for another try
    let first = runs.iter().map(|run| run.lease_ends()).min();
    let patience = first.unwrap_or_else(Instant::now) - Instant::now();
    let asked = tokio::time::timeout((patience / 2).max(LOOK), memory.renew(leases.collect()));
    let (term, renewed) = match asked.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) if is_unreachable(&failure) => {
            tracing::debug!(reason = %failure.reason, error = %failure, "leases cannot be renewed now");
            return;
        }
        Ok(Err(failure)) => {
            tracing::warn!(reason = %failure.reason, error = %failure, "leases are not renewed");
            return;
        }
        Err(_) => {
            tracing::debug!("memory does not answer; leases are to be renewed");
            return;
        }
    };
    for (run, renewed) in runs.iter().zip(renewed) {
        match renewed.renewal() {
            Renewal::Held => run.renewed(term),
            Renewal::Ended => run.ended(),
            // what a newer memory may mean by another word is not known to be held
            Renewal::Lost | Renewal::Unspecified => run.lost(),
        }
        if renewed.cancel_requested {
            run.cancel.cancel();
        }
    }
}

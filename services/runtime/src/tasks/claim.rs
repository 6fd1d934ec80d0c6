//! Takes over runs whose lease has expired: those of a node that died, and our own from before a restart.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::node::Node;

/// Runs claimed with one call.
const BATCH: u32 = 16;

/// Claims at once and then every `period`, until `stop`.
pub(crate) async fn run(node: Node, period: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => claim(&node).await,
        }
    }
}

async fn claim(node: &Node) {
    let room = u32::try_from(node.room()).unwrap_or(u32::MAX).min(BATCH);
    if room == 0 {
        return;
    }
    match node.peers().memory.claim_expired(room).await {
        Ok(runs) => {
            for (run, lease) in runs {
                tracing::info!(run = %run.run_id, "taking over a run");
                node.resume(run.run_token, lease);
            }
        }
        Err(failure) => {
            tracing::debug!(reason = %failure.reason, error = %failure, "memory cannot be asked for expired runs");
        }
    }
}

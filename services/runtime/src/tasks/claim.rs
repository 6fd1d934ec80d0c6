//! Takes over runs whose lease has expired or was given up: those of a node that died or goes away, and our own from
//! before a restart.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::node::Node;
use crate::skew::Skew;

/// Runs claimed with one call.
const BATCH: u32 = 64;

/// Claims at once and then every `period`, until `stop`.
pub(crate) async fn run(node: Node, period: Duration, mut skew: Skew, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => while claim(&node, &mut skew).await && !stop.is_cancelled() {},
        }
    }
}

/// True when there may be more.
async fn claim(node: &Node, skew: &mut Skew) -> bool {
    let room = u32::try_from(node.room()).unwrap_or(u32::MAX).min(BATCH);
    if room == 0 {
        return false;
    }
    let clock = node.parts().clock.as_ref();
    let asked = clock.now();
    match node.peers().memory.claim_expired(room).await {
        Ok(claims) => {
            if let Some(told) = claims.time {
                skew.compare(asked, told, clock.now());
            }
            let found = claims.runs.len();
            for run in claims.runs {
                tracing::info!(run = %run.run_id, "taking over a run");
                node.resume(run).await;
            }
            found == room as usize
        }
        Err(failure) => {
            tracing::debug!(reason = %failure.reason, error = %failure, "memory cannot be asked for expired runs");
            false
        }
    }
}

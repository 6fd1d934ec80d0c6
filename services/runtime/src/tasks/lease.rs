//! Keeps the lease of one run while it is driven.

use std::time::Duration;

use harombe_types::Clock;

use crate::live::LiveRun;
use crate::peers::{Memory, is_unreachable};

/// Between two renewals, at least and at most, whatever memory's period.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);

/// Renews at a third of the period. Returns when the lease is lost: then nothing more may be written.
pub(crate) async fn keep(live: &LiveRun, memory: &Memory, token: &str, epoch: u64, clock: &dyn Clock) {
    let mut failed = false;
    loop {
        let left = clock.now().until(live.lease_expires());
        let pause = if failed {
            SHORTEST
        } else {
            (left / 3).clamp(SHORTEST, LONGEST)
        };
        tokio::time::sleep(pause).await;
        match memory.renew(token, epoch).await {
            Ok((lease, cancel_requested)) => {
                failed = false;
                live.renewed(lease.expires);
                if cancel_requested {
                    live.cancel.cancel();
                }
            }
            Err(failure) if is_unreachable(&failure) && clock.now() < live.lease_expires() => failed = true,
            Err(failure) => {
                tracing::info!(run = %live.id, reason = %failure.reason, "the run's lease is lost");
                return;
            }
        }
    }
}

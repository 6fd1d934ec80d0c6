//! Background loops: deadlines, unfinished records, and marks that nobody waits for.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::Authority;
use crate::store::Mark;

const SWEEP: Duration = Duration::from_secs(1);
/// How long marks are collected, so that many share one write.
const COLLECT: Duration = Duration::from_millis(200);
const MARKS_AT_ONCE: usize = 1024;

/// Denies what is overdue and records what is not recorded, once a second.
pub(crate) async fn sweep(authority: Authority, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = authority.record_the_unrecorded().await {
            tracing::warn!(%error, "decisions wait for the audit log");
        }
        if let Err(error) = authority.expire_overdue().await {
            tracing::warn!(%error, "overdue approvals wait to be expired");
        }
    }
}

/// Writes down, in groups, which redemptions are in the audit log.
pub(crate) async fn mark(authority: Authority, mut recorded: mpsc::Receiver<Mark>, stop: CancellationToken) {
    let mut marks = Vec::new();
    while let Some(received) = stop
        .run_until_cancelled(recorded.recv_many(&mut marks, MARKS_AT_ONCE))
        .await
    {
        if received == 0 {
            return;
        }
        stop.run_until_cancelled(tokio::time::sleep(COLLECT)).await;
        while marks.len() < MARKS_AT_ONCE
            && let Ok(more) = recorded.try_recv()
        {
            marks.push(more);
        }
        if let Err(error) = authority.write_marks(std::mem::take(&mut marks)).await {
            tracing::warn!(%error, "redemptions will be recorded again after a restart");
        }
    }
}

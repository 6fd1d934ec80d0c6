//! Background loops: deadlines, unfinished records, marks that nobody waits for, and what other processes do.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::{Aside, Authority, Change, Known};
use crate::metrics::Numbers;
use crate::store::{Mark, News, Peers};

const SWEEP: Duration = Duration::from_secs(1);
/// How long marks are collected, so that many share one write.
const COLLECT: Duration = Duration::from_millis(200);
const MARKS_AT_ONCE: usize = 1024;
/// How often the store is looked at for what no hint told: a decision made elsewhere is never delivered later.
const LOOK: Duration = Duration::from_secs(2);
/// Hints that wait to be followed; more are found by looking.
const HINTS: usize = 1024;

/// Denies what is overdue, records what is not recorded and removes what is old, once a second; then counts what waits.
pub(crate) async fn sweep(authority: Authority, numbers: Numbers, stop: CancellationToken) {
    let mut aside = Aside::default();
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = authority.record_the_unrecorded(&mut aside).await {
            numbers.round_failed();
            tracing::warn!(%error, "decisions wait for the audit log");
        }
        if let Err(error) = authority.expire_overdue(&mut aside).await {
            numbers.round_failed();
            tracing::warn!(%error, "overdue approvals wait to be expired");
        }
        if let Err(error) = authority.forget_decided().await {
            numbers.round_failed();
            tracing::warn!(%error, "requests that were decided long ago wait to be removed");
        }
        authority.finish_erasing().await;
        if let Err(error) = authority.measure(&aside).await {
            tracing::warn!(%error, "the requests that wait were not counted");
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

/// Announces what other processes on the same store do.
pub(crate) async fn follow(authority: Authority, peers: Arc<dyn Peers>, stop: CancellationToken) {
    let (news, mut hints) = mpsc::channel(HINTS);
    // before the first look, so that nothing announced here is taken for another's
    let mut announced = authority.changes();
    let following = async {
        let mut known = Known::default();
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                biased;
                change = announced.recv() => {
                    note(&mut known, change);
                    continue;
                }
                Some(hint) = hints.recv() => hint,
                _ = ticks.tick() => News::Missed,
            };
            let followed = match next {
                News::Of(tenant, id) => authority.hear(&tenant, id).await,
                News::Missed => authority.compare(&mut known).await,
            };
            if let Err(error) = followed {
                tracing::warn!(%error, "what other processes decide waits to be heard of");
            }
        }
    };
    tokio::select! {
        () = following => {}
        () = peers.listen(&stop, news) => {}
    }
}

fn note(known: &mut Known, change: Result<Change, RecvError>) {
    match change {
        Ok(change) => known.note(change),
        // what was missed is announced once more at the next look
        Err(RecvError::Lagged(_) | RecvError::Closed) => {}
    }
}

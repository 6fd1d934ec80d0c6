//! What goes on beside the calls: filling the query index, and publishing the newest checkpoint as a file.

use std::sync::Arc;
use std::time::Duration;

use harombe_rpc::Server;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::log::Log;
use crate::metrics::Numbers;
use crate::store::{CHECKPOINT_FILE, write_whole};

/// Fills the query index behind the log. It works for half of the time at most: when appends come faster than it can
/// follow, they go first, and queries say how far they are complete.
pub(crate) async fn index(log: Arc<Log>, every: Duration, numbers: Numbers, stop: CancellationToken) {
    let mut heads = log.store().watch();
    loop {
        let begun = Instant::now();
        let step = log.index_more().await;
        let is_done = matches!(step, Ok(false));
        let pause = match step {
            Ok(true) => begun.elapsed(),
            Ok(false) => every,
            Err(error) => {
                numbers.index_failures.inc();
                tracing::warn!(%error, "the query index could not be filled, and is tried again");
                every
            }
        };
        if let Ok(lag) = log.index_lag().await {
            numbers.set_index_lag(lag);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if !is_done {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = heads.changed() => if changed.is_err() { return },
        }
    }
}

/// Says to balancers whether this instance takes appends; reads it answers either way.
pub(crate) async fn readiness(log: Arc<Log>, server: Server, numbers: Numbers, stop: CancellationToken) {
    let mut writes = log.store().writes();
    loop {
        let serving = writes.borrow_and_update().is_some();
        server.set_serving(serving);
        numbers.writer.set(i64::from(serving));
        tokio::select! {
            () = stop.cancelled() => return,
            changed = writes.changed() => if changed.is_err() { return },
        }
    }
}

/// Writes the newest checkpoint to its file soon after each commit, and once more at the end. The file lags behind the
/// log by at most `every`; it is what shows that a log was put back to an earlier state as a whole.
pub(crate) async fn publish(log: Arc<Log>, every: Duration, numbers: Numbers, stop: CancellationToken) {
    let mut heads = log.store().watch();
    numbers.set_entries(heads.borrow().size());
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            changed = heads.changed() => if changed.is_err() { break },
        }
        numbers.set_entries(heads.borrow().size());
        if let Err(error) = write(&log).await {
            tracing::warn!(%error, "the newest checkpoint could not be published");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(every) => {}
        }
    }
    if let Err(error) = write(&log).await {
        tracing::warn!(%error, "the last checkpoint could not be published");
    }
}

async fn write(log: &Log) -> Result<(), Error> {
    let path = log.directory().join(CHECKPOINT_FILE);
    let head = Arc::clone(&log.store().watch().borrow());
    let written = tokio::task::spawn_blocking(move || write_whole(&path, head.note().as_bytes(), 0o644));
    written.await.unwrap_or(Ok(()))
}

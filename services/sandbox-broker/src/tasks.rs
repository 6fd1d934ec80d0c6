//! Looks from time to time how much the workspaces hold, for the metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::metrics::Numbers;
use crate::sessions::Sessions;

/// Between two looks, at least.
const PAUSE: Duration = Duration::from_secs(60);
/// … and so many times as long as the last one took: looking takes a twentieth of a disk's time at most.
const SPARING: u32 = 19;

/// Looks until it is told to stop.
pub(crate) async fn look(sessions: Arc<Sessions>, numbers: Numbers, stop: CancellationToken) {
    loop {
        let begun = Instant::now();
        let looking = tokio::task::spawn_blocking({
            let (sessions, stop) = (Arc::clone(&sessions), stop.clone());
            move || (sessions.holdings(|| stop.is_cancelled()), sessions.room())
        });
        // One that panicked has told nothing; the next one may.
        if let Ok((holdings, room)) = looking.await {
            numbers.hold(holdings);
            match room {
                Ok(room) => numbers.has_room(room),
                Err(error) => tracing::warn!(%error, "how full the disk of the workspaces is cannot be told"),
            }
        }
        let pause = PAUSE.max(begun.elapsed() * SPARING);
        if stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_none()
        {
            return;
        }
    }
}

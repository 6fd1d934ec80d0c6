//! What happens without being asked for.

mod first_key;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::keys::Keys;
use crate::domain::uses::Uses;

pub(crate) use first_key::first_key;

/// How long a stream may outlive its key when another gateway revoked it.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const SETTLE_EVERY: Duration = Duration::from_secs(30);

/// Ends the streams of keys that were revoked, at this gateway or another, or have expired.
pub(crate) async fn end_streams(keys: Arc<Keys>, uses: Arc<Uses>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        for id in uses.streaming() {
            match keys.is_fit(&id).await {
                Ok(true) => {}
                Ok(false) => uses.end(&id),
                // The streams that are open were let in; nobody new is while the store is away.
                Err(error) => {
                    tracing::warn!(%error, "keys in use cannot be looked up");
                    break;
                }
            }
        }
    }
}

/// Records the revocations whose gateway did not come to it: audit was away, or the gateway died.
pub(crate) async fn settle(keys: Arc<Keys>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(SETTLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Some(Err(error)) = stop.run_until_cancelled(keys.settle()).await {
            tracing::warn!(%error, "revoked keys wait for their record");
        }
    }
}

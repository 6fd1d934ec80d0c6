//! Messages of a key in a day, counted in the store because all gateways share them.

use std::sync::Arc;
use std::time::Duration;

use harombe_types::{Clock, Timestamp};

use super::secret::KeyId;
use super::uses::Live;
use crate::Error;
use crate::metrics::{Limited, Numbers};
use crate::store::Store;

const DAY_SECONDS: i64 = 24 * 60 * 60;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct Quota {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) numbers: Numbers,
}

/// A message that was counted.
pub(crate) struct Spent {
    store: Arc<dyn Store>,
    key: KeyId,
    day: i64,
}

impl Quota {
    /// Counts a message of a key that has a quota; costs nothing for others.
    pub(crate) async fn spend(&self, key: &Live) -> Result<Option<Spent>, Error> {
        let max = key.messages_per_day();
        if max == 0 {
            return Ok(None);
        }
        let now = self.clock.now();
        let day = now.as_secs().div_euclid(DAY_SECONDS);
        if !self.store.spend(&key.id, day, max).await? {
            self.numbers.limited(Limited::Messages);
            return Err(Error::QuotaSpent {
                max,
                wait: until_midnight(now),
            });
        }
        Ok(Some(Spent {
            store: Arc::clone(&self.store),
            key: key.id.clone(),
            day,
        }))
    }
}

impl Spent {
    /// The message began nothing new. One that cannot be given back stays counted.
    pub(crate) async fn give_back(self) {
        if let Err(error) = self.store.give_back(&self.key, self.day).await {
            tracing::warn!(%error, key = %self.key, "a message stays counted that began no run");
        }
    }
}

fn until_midnight(now: Timestamp) -> Duration {
    let since = u64::try_from(now.as_millis().rem_euclid(DAY_SECONDS * 1000)).unwrap_or(0);
    DAY.saturating_sub(Duration::from_millis(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let check = |millis: i64, expected: Duration| {
            assert_eq!(
                until_midnight(Timestamp::from_millis(millis)),
                expected,
                "{millis}"
            );
        };
        check(0, DAY);
        check(1, DAY - Duration::from_millis(1));
        check(DAY_SECONDS * 1000 - 1, Duration::from_millis(1));
        check(DAY_SECONDS * 1000, DAY);
    }
}

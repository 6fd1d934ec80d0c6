//! What a key may begin in a day, counted in the store because all gateways share it.

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

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Daily {
    Messages,
    Sessions,
}

/// Something of a key's that is counted by the day.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) key: KeyId,
    pub(crate) what: Daily,
}

impl Counted {
    /// What the store calls it.
    pub(crate) fn name(&self) -> String {
        match self.what {
            Daily::Messages => self.key.to_string(),
            Daily::Sessions => format!("{}/sessions", self.key),
        }
    }
}

pub(crate) struct Quota {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) numbers: Numbers,
    /// Of each key; 0 sets no limit.
    pub(crate) sessions_per_day: u32,
}

/// What was counted.
pub(crate) struct Spent {
    store: Arc<dyn Store>,
    counted: Counted,
    day: i64,
}

impl Quota {
    /// Counts a message of a key that has a quota; costs nothing for others.
    pub(crate) async fn message(&self, key: &Live) -> Result<Option<Spent>, Error> {
        self.spend(key, Daily::Messages, key.messages_per_day()).await
    }

    /// Counts a session, unless there is no limit.
    pub(crate) async fn session(&self, key: &Live) -> Result<Option<Spent>, Error> {
        self.spend(key, Daily::Sessions, self.sessions_per_day).await
    }

    async fn spend(&self, key: &Live, what: Daily, max: u32) -> Result<Option<Spent>, Error> {
        if max == 0 {
            return Ok(None);
        }
        let now = self.clock.now();
        let day = now.as_secs().div_euclid(DAY_SECONDS);
        let key = key.id.clone();
        let counted = Counted { key, what };
        if !self.store.spend(&counted, day, max).await? {
            let wait = until_midnight(now);
            return Err(match what {
                Daily::Messages => {
                    self.numbers.limited(Limited::Messages);
                    Error::QuotaSpent { max, wait }
                }
                Daily::Sessions => {
                    self.numbers.limited(Limited::Sessions);
                    Error::ManySessions { max, wait }
                }
            });
        }
        Ok(Some(Spent {
            store: Arc::clone(&self.store),
            counted,
            day,
        }))
    }
}

impl Spent {
    /// It began nothing new. What cannot be given back stays counted.
    pub(crate) async fn give_back(self) {
        if let Err(error) = self.store.give_back(&self.counted, self.day).await {
            let Counted { key, what } = self.counted;
            tracing::warn!(%error, %key, ?what, "what began nothing stays counted");
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

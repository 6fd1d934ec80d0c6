//! Records that could not be dealt with, for a reason of their own: each rests for a while that grows with its failures,
//! and holds up no other.

use std::collections::HashMap;
use std::time::Duration;

use harombe_types::Timestamp;

use crate::store::Mark;

/// Before the first and between any two attempts.
const SHORTEST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(300);
/// Most records that are remembered; more are tried in each round.
const MOST: usize = 10_000;

/// What rests, and until when.
#[derive(Debug, Default)]
pub struct Aside(HashMap<Mark, Rest>);

#[derive(Clone, Copy, Debug)]
struct Rest {
    pause: Duration,
    until: Timestamp,
}

impl Aside {
    /// Whether it failed a short while ago.
    pub(super) fn rests(&self, record: &Mark, now: Timestamp) -> bool {
        self.0.get(record).is_some_and(|rest| rest.until > now)
    }

    /// It failed once more; returns how long it rests.
    pub(super) fn put(&mut self, record: Mark, now: Timestamp) -> Duration {
        let before = self.0.get(&record).map(|rest| rest.pause);
        let pause = before.map_or(SHORTEST, |pause| (pause * 2).min(LONGEST));
        if before.is_some() || self.0.len() < MOST {
            let until = now.plus(pause);
            self.0.insert(record, Rest { pause, until });
        }
        pause
    }

    /// It is dealt with.
    pub(super) fn done(&mut self, record: &Mark) {
        self.0.remove(record);
    }

    /// Forgets what was not tried again although its rest is long over: somebody else has dealt with it.
    pub(super) fn tidy(&mut self, now: Timestamp) {
        self.0.retain(|_, rest| rest.until.plus(LONGEST) > now);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use harombe_types::{ApprovalId, SystemClock};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn record() -> Mark {
        Mark::Request(ApprovalId::generate(&SystemClock))
    }

    #[test]
    fn a_record_rests_longer_with_each_failure_and_alone() {
        let (mut aside, bad, good) = (Aside::default(), record(), record());
        let mut now = NOW;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            assert!(!aside.rests(&bad, now));
            let pause = aside.put(bad.clone(), now);
            assert!(aside.rests(&bad, now) && !aside.rests(&good, now));
            pauses.push(pause.as_secs());
            now = now.plus(pause);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        aside.done(&bad);
        assert_eq!((aside.put(bad, now), aside.len()), (SHORTEST, 1));
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for_and_nothing_for_ever() {
        let mut aside = Aside::default();
        for _ in 0..MOST + 5 {
            aside.put(record(), NOW);
        }
        assert_eq!(aside.len(), MOST);
        aside.tidy(NOW.plus(LONGEST));
        assert_eq!(aside.len(), MOST);
        aside.tidy(NOW.plus(SHORTEST + LONGEST));
        assert_eq!(aside.len(), 0);
    }
}

//! Whether memory's clock and this node's tell the same time. Leases do not depend on it; tokens, deadlines and the times in
//! journals do.

use std::sync::Arc;

use harombe_types::Timestamp;

use crate::metrics::Numbers;

/// More than that is worth a warning, in milliseconds.
const TOLERATED: i64 = 2000;

/// Compares the two.
#[derive(Debug)]
pub(crate) struct Skew {
    numbers: Arc<Numbers>,
    warned: bool,
}

impl Skew {
    pub(crate) fn new(numbers: Arc<Numbers>) -> Self {
        Self {
            numbers,
            warned: false,
        }
    }

    /// Memory said `told` between two moments of this node's clock. Warns once when they are apart, and says when they are
    /// not any more.
    pub(crate) fn compare(&mut self, asked: Timestamp, told: Timestamp, answered: Timestamp) {
        let ahead = ahead(asked, told, answered);
        self.numbers.memory_ahead(ahead);
        let apart = !(-TOLERATED..=TOLERATED).contains(&ahead);
        if apart && !self.warned {
            tracing::warn!(
                memory_ahead_ms = ahead,
                "this node's clock and memory's are apart; set both by NTP: tokens and deadlines go by them"
            );
        } else if self.warned && !apart {
            tracing::info!("this node's clock and memory's tell the same time again");
        }
        self.warned = apart;
    }
}

/// Milliseconds that memory is ahead, or behind when negative, beyond what the way there and back can explain.
fn ahead(asked: Timestamp, told: Timestamp, answered: Timestamp) -> i64 {
    let (asked, told, answered) = (asked.as_millis(), told.as_millis(), answered.as_millis());
    if told < asked {
        told.saturating_sub(asked)
    } else {
        told.saturating_sub(answered).max(0)
    }
}

#[cfg(test)]
mod tests {
    use harombe_rpc::Metrics;

    use super::*;

    #[test]
    fn what_the_way_there_and_back_explains_is_no_skew() {
        let check = |told, expected| {
            let at = Timestamp::from_millis;
            assert_eq!(ahead(at(1000), at(told), at(5000)), expected, "{told}");
        };
        check(1000, 0);
        check(5000, 0);
        check(999, -1);
        check(-19_000, -20_000);
        check(15_000, 10_000);
        check(i64::MIN, i64::MIN);
    }

    #[test]
    fn it_is_shown_and_warned_of_once() {
        let metrics = Metrics::new();
        let mut skew = Skew::new(Arc::new(Numbers::new(&metrics)));
        let now = Timestamp::from_millis(100_000);
        let shown = |seconds: &str| {
            let line = format!("\nharombe_runtime_memory_clock_ahead_seconds {seconds}\n");
            let page = metrics.encode();
            assert!(page.contains(&line), "{page}");
        };
        for (told, warned, seconds) in [
            (100_000, false, "0.0"),
            (79_500, true, "-20.5"),
            (101_500, false, "1.5"),
        ] {
            skew.compare(now, Timestamp::from_millis(told), now);
            assert_eq!(skew.warned, warned);
            shown(seconds);
        }
        skew.compare(now, Timestamp::from_millis(i64::MIN), now);
        assert!(skew.warned);
    }
}

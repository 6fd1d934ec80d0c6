//! What strangers at an internal port get wrong, without letting them fill the log.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

const EVERY: Duration = Duration::from_secs(10);

/// Writes one line in 10 s at most, and in the next one how many were left out.
pub(crate) struct Complaints {
    begun: Instant,
    /// Milliseconds since the beginning at which the next line may be written.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl Complaints {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            next: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    pub(crate) fn tell(&self, peer: &dyn Display, fault: &dyn Display) {
        if let Some(left_out) = self.turn() {
            tracing::warn!(%peer, %fault, left_out, "a connection was refused");
        }
    }

    /// How many were left out since the last line; `None` when it is not time for another.
    fn turn(&self) -> Option<u64> {
        let now = millis(self.begun.elapsed());
        let next = self.next.load(Ordering::Relaxed);
        let later = now.saturating_add(millis(EVERY));
        let is_time = now >= next
            && self
                .next
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !is_time {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_one_line_and_a_number() {
        let complaints = Complaints::new();
        assert_eq!(complaints.turn(), Some(0));
        for _ in 0..5000 {
            assert_eq!(complaints.turn(), None);
        }
        tokio::time::advance(EVERY).await;
        assert_eq!(complaints.turn(), Some(5000));
        assert_eq!(complaints.turn(), None);
    }
}

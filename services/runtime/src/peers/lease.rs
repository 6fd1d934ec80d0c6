//! The right to write a run's journal, and how long it lasts by this node's own clock.

use std::time::Duration;

use tokio::time::Instant;

/// Between two renewals at most, whatever memory's period: a wish to stop is heard no later.
const LONGEST: Duration = Duration::from_secs(60);

/// What an absurd answer is cut to.
const LONGEST_TTL: Duration = Duration::from_secs(3600);

/// The right to write a run's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Named by every write.
    pub epoch: u64,
    /// Until when.
    pub term: Term,
}

/// How long a lease lasts. Counted from before it was asked for, on a clock that only goes forward, so that it ends here
/// before it ends at memory, whatever time of day the two machines believe it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    asked: Instant,
    ttl: Duration,
}

impl Term {
    /// What memory gives to who asked then.
    pub(crate) fn new(asked: Instant, ttl: Duration) -> Self {
        let ttl = ttl.min(LONGEST_TTL);
        Self { asked, ttl }
    }

    /// From then on the lease may be another's.
    pub(crate) fn ends(self) -> Instant {
        self.asked + self.ttl
    }

    /// Two more renewals could fail after this one, and the lease would still be kept.
    pub(crate) fn is_due(self, now: Instant) -> bool {
        now >= self.asked + self.pause()
    }

    /// Late enough to be renewed together with one that is due.
    pub(crate) fn may_be_renewed(self, now: Instant) -> bool {
        now >= self.asked + self.pause() / 2
    }

    fn pause(self) -> Duration {
        (self.ttl / 3).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_three_times_before_it_would_end() {
        let asked = Instant::now();
        let term = Term::new(asked, Duration::from_secs(9));
        let after = |millis| asked + Duration::from_millis(millis);
        assert_eq!(term.ends(), after(9000));
        assert!(!term.is_due(after(2999)) && term.is_due(after(3000)));
        assert!(!term.may_be_renewed(after(1499)) && term.may_be_renewed(after(1500)));
        let endless = Term::new(asked, Duration::MAX);
        assert!(endless.is_due(after(60_000)));
        assert_eq!(endless.ends(), after(3_600_000));
    }
}

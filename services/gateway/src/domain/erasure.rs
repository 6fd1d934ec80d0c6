//! Erasing a person goes part by part: what is done between two parts, and when to leave it for another day.

use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// For runs that are to end: longer than it takes until one whose node died is ended for it, at memory's own settings (a lease,
/// and as long again), and shorter than a REST client waits for its answer (30 s).
const WAITING: Duration = Duration::from_secs(25);
/// For all that one service erases, however much there is.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// What is kept of a person, in the order in which it goes. Their keys first, so that nothing is added; the key to their
/// details last, because what goes before it leaves records under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Keys,
    Memory,
    Approvals,
    Details,
}

impl Part {
    /// What to say of it when it could not be finished.
    pub(crate) const fn unfinished(self) -> &'static str {
        match self {
            Self::Keys => "not all of their keys are revoked",
            Self::Memory => "not all of their sessions and memories are erased",
            Self::Approvals => "not all that they asked approvers is erased",
            Self::Details => "the key to their details in the log is not destroyed",
        }
    }
}

/// How long a service is asked again that says that there is more.
#[derive(Debug)]
pub(crate) struct Patience {
    pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { pause: FIRST_PAUSE }
    }
}

impl Patience {
    /// How long to wait before asking again, when the last answer `erased` so many things and the first was asked for `since`;
    /// `None` when that is enough for one call.
    pub(crate) fn pause(&mut self, erased: u64, since: Duration) -> Option<Duration> {
        if erased > 0 {
            self.pause = FIRST_PAUSE;
            return (since < LONGEST).then_some(Duration::ZERO);
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        (since.saturating_add(pause) <= WAITING).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses after answers of which each erased so many things, `since` after the first question.
    fn check(since: u64, answers: &[u64], expected: &[Option<u64>]) {
        let mut patience = Patience::default();
        let since = Duration::from_secs(since);
        let pauses = answers.iter().map(|erased| patience.pause(*erased, since));
        let expected = expected.iter().map(|pause| pause.map(Duration::from_millis));
        assert!(pauses.eq(expected), "{answers:?} after {since:?}");
    }

    #[test]
    fn what_goes_on_is_asked_for_at_once_and_what_does_not_ever_later() {
        check(0, &[1, 7, 1], &[Some(0), Some(0), Some(0)]);
        let growing = [Some(250), Some(500), Some(1000), Some(2000), Some(2000)];
        check(0, &[0; 5], &growing);
        check(0, &[0, 0, 3, 0], &[Some(250), Some(500), Some(0), Some(250)]);
    }

    #[test]
    fn runs_get_some_time_to_end_and_much_to_erase_gets_more() {
        check(24, &[0, 0], &[Some(250), Some(500)]);
        check(25, &[0, 5], &[None, Some(0)]);
        check(299, &[1], &[Some(0)]);
        check(300, &[1, 0], &[None, None]);
    }
}

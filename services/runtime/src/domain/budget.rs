//! Whether a run may ask its model once more.

use harombe_proto::types::v1::StopReason;

use super::agent::Limits;
use super::model::Usage;

/// The reason to stop, if there is one. The wall limit is a timer's business, not this function's.
pub(crate) fn spent(limits: &Limits, steps: u32, usage: Usage) -> Option<StopReason> {
    if steps >= limits.steps {
        Some(StopReason::StepLimit)
    } else if usage.total() >= limits.tokens {
        Some(StopReason::TokenLimit)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_budget_is_spent_when_it_is_reached_and_not_before() {
        let limits = Limits {
            steps: 3,
            tokens: 100,
            wall: Duration::MAX,
            context: 1000,
            recall: 8,
            result: 1000,
        };
        let check = |steps, input, output| spent(&limits, steps, Usage { input, output });
        assert_eq!(check(2, 60, 39), None);
        assert_eq!(check(3, 0, 0), Some(StopReason::StepLimit));
        assert_eq!(check(0, 60, 40), Some(StopReason::TokenLimit));
        assert_eq!(check(0, u64::MAX, u64::MAX), Some(StopReason::TokenLimit));
    }
}

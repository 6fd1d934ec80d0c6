//! What the log records of itself, as the service `audit`, and the numbers of that.

use harombe_types::{Clock, EventId, InstanceId, Person, ServiceName, Subject};
use serde_json::json;

use super::Event;

/// A data key is about to be destroyed.
const DATA_KEY_ERASED: &str = "data_key.erased";

/// Numbers for the log's own entries: without a gap, and none twice. Where it cannot be known whether the log has an entry,
/// its number is the last of its sequence, and another one begins.
#[derive(Debug)]
pub(crate) struct Sequence {
    instance: InstanceId,
    last: u64,
    in_doubt: bool,
}

impl Sequence {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self {
            instance: InstanceId::generate(clock),
            last: 0,
            in_doubt: false,
        }
    }

    /// The number of the next entry, in doubt until it is [settled](Sequence::settle).
    pub(crate) fn take(&mut self, clock: &dyn Clock) -> (InstanceId, u64) {
        if self.in_doubt {
            *self = Self::new(clock);
        }
        self.last += 1;
        self.in_doubt = true;
        (self.instance, self.last)
    }

    /// The log has the entry with the last number.
    pub(crate) fn settle(&mut self) {
        self.in_doubt = false;
    }
}

/// That `by` has the data key of `erased` destroyed. Sealed for `by`, so that it can be read afterwards.
pub(crate) fn data_key_erased(
    by: &Person,
    erased: &Subject,
    (instance, instance_seq): (InstanceId, u64),
    clock: &dyn Clock,
) -> Event {
    Event {
        id: EventId::generate(clock),
        service: ServiceName::Audit,
        kind: DATA_KEY_ERASED.to_owned(),
        tenant: by.tenant.clone(),
        principal: format!("person:{}", by.subject),
        subject: Some(by.subject.clone()),
        agent: None,
        run: None,
        session: None,
        call: None,
        approval: None,
        time: clock.now(),
        outcome: "ok".to_owned(),
        policy_version: String::new(),
        instance,
        instance_seq,
        details: json!({ "subject": erased.as_str() }).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use harombe_types::SystemClock;

    use super::*;

    #[test]
    fn a_number_in_doubt_is_the_last_of_its_sequence() {
        let clock = &SystemClock;
        let mut sequence = Sequence::new(clock);
        let (first, one) = sequence.take(clock);
        sequence.settle();
        let (same, two) = sequence.take(clock);
        let (next, again) = sequence.take(clock);
        assert_eq!((one, two, again), (1, 2, 1));
        assert!(first == same && same != next);
    }
}

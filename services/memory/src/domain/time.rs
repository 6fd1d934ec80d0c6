//! Moments as messages have them.

use harombe_types::Timestamp;

pub(crate) fn wire_time(time: Timestamp) -> prost_types::Timestamp {
    let millis = time.as_millis();
    let nanos = i32::try_from(millis.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    prost_types::Timestamp {
        seconds: time.as_secs(),
        nanos,
    }
}

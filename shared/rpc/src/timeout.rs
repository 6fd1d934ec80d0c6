//! The `grpc-timeout` header (gRPC over HTTP/2: at most eight digits and a unit).

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

pub(crate) const HEADER: &str = "grpc-timeout";

/// What a unary call gets when its caller names no deadline.
pub(crate) const DEFAULT_VALUE: HeaderValue = HeaderValue::from_static("10S");

/// The time that the caller gives the call; `None` without the header or when it cannot be read.
pub(crate) fn parse(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The header's value for this much time, rounded up to what eight digits can say.
pub(crate) fn format(left: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let units = [(1, 'n'), (1_000, 'u'), (1_000_000, 'm'), (1_000_000_000, 'S')];
    let fitting = units.into_iter().find_map(|(nanos, unit)| {
        let count = left.as_nanos().div_ceil(nanos);
        (count <= MOST).then(|| format!("{count}{unit}"))
    });
    let text = fitting.unwrap_or_else(|| format!("{MOST}S"));
    HeaderValue::from_str(&text).unwrap_or(DEFAULT_VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Duration>) {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(text).unwrap());
        assert_eq!(parse(&headers), expected, "{text:?}");
    }

    #[test]
    fn reads_every_unit() {
        check("2H", Some(Duration::from_secs(7200)));
        check("3M", Some(Duration::from_secs(180)));
        check("10S", Some(Duration::from_secs(10)));
        check("99999999m", Some(Duration::from_millis(99_999_999)));
        check("7u", Some(Duration::from_micros(7)));
        check("0n", Some(Duration::ZERO));
    }

    #[test]
    fn what_the_protocol_does_not_allow_is_no_deadline() {
        for text in [
            "",
            "S",
            "1",
            "1s",
            "123456789S",
            "-1S",
            "1.5S",
            "S1",
            "+1S",
            " 1S",
        ] {
            check(text, None);
        }
        assert_eq!(parse(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_written_reads_back_and_never_as_less() {
        for nanos in [
            0,
            1,
            99_999_999,
            100_000_000,
            100_000_001,
            7_123_456_789_012,
            200_000_000 * 1_000_000_000,
        ] {
            let mut headers = HeaderMap::new();
            let given = Duration::from_nanos(nanos);
            headers.insert(HEADER, format(given));
            let read = parse(&headers).unwrap();
            assert!(
                read >= given.min(Duration::from_secs(99_999_999)),
                "{given:?} became {read:?}"
            );
            assert!(
                read.as_secs_f64() <= given.as_secs_f64() * 1.000_02 + 1e-9,
                "{given:?} became {read:?}"
            );
        }
    }
}

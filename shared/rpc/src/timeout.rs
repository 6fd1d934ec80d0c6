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
}

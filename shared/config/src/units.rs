//! Durations and sizes as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A text that is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no {what}; write a number and a unit, such as {example}")]
pub struct InvalidUnit {
    what: &'static str,
    given: String,
    example: &'static str,
}

/// A duration such as "250ms", "30s", "15m", "2h" or "7d".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Span(Duration);

/// A number of bytes such as "512", "64KiB", "512MiB" or "8GiB".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Size(u64);

const SPAN_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
];
const SIZE_UNITS: [(&str, u64); 5] = [
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A whole number followed by one of the units.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The largest unit that says it in whole numbers.
fn write(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fits = |(_, factor): &&(&str, u64)| value != 0 && value.is_multiple_of(*factor);
    let (name, factor) = units
        .iter()
        .rev()
        .find(fits)
        .or(units.first())
        .copied()
        .unwrap_or(("", 1));
    write!(f, "{}{name}", value / factor)
}

macro_rules! unit {
    ($name:ident, $inner:ty, $what:literal, $example:literal, $units:ident, $read:expr, $raw:expr) => {
        impl FromStr for $name {
            type Err = InvalidUnit;

            fn from_str(text: &str) -> Result<Self, InvalidUnit> {
                let invalid = || InvalidUnit {
                    what: $what,
                    given: text.chars().take(64).collect(),
                    example: $example,
                };
                parse(text, &$units)
                    .map($read)
                    .map(Self)
                    .ok_or_else(invalid)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidUnit;

            fn try_from(text: String) -> Result<Self, InvalidUnit> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(f, $raw(self.0), &$units)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }

        impl From<$name> for $inner {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

unit!(
    Span,
    Duration,
    "duration",
    "\"30s\"",
    SPAN_UNITS,
    Duration::from_millis,
    millis
);
unit!(
    Size,
    u64,
    "size",
    "\"512MiB\"",
    SIZE_UNITS,
    std::convert::identity,
    std::convert::identity
);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Span {
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        self.0
    }
}

impl Size {
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_written() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("15m", 900_000),
            ("2h", 7_200_000),
            ("0ms", 0),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.as_duration(), Duration::from_millis(millis), "{text}");
            assert_eq!(span.to_string(), text);
        }
        assert_eq!("60 s".parse::<Span>().unwrap().to_string(), "1m");
    }

    #[test]
    fn sizes_read_back_as_written() {
        for (text, bytes) in [("0", 0), ("1000", 1000), ("64KiB", 65_536), ("8GiB", 8 << 30)] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.as_bytes(), bytes, "{text}");
        }
        assert_eq!("1024".parse::<Size>().unwrap().to_string(), "1KiB");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "s",
            "30",
            "-1s",
            "1.5s",
            "30 years",
            "99999999999999999999s",
            "1s1s",
            "30sé",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "512MB", "99999999999GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
    }
}

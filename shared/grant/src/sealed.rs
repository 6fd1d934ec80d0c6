//! What grants and leases have in common on the wire.

use harombe_identity::jws;
use harombe_types::{ServiceName, Timestamp};
use serde::de::Unexpected;
use serde::{Deserialize, Deserializer, Serializer};

use crate::Error;

/// Only hitl grants.
pub(crate) const ISSUER: ServiceName = ServiceName::Hitl;

/// A token's times are whole seconds (RFC 7519, NumericDate), rounded down: nothing lives longer than decided.
pub(crate) fn check_times(nbf: i64, exp: i64, now: Timestamp) -> Result<(), Error> {
    jws::check_times(nbf, nbf, exp, now).map_err(|error| match error {
        harombe_identity::Error::Expired => Error::Expired,
        harombe_identity::Error::NotYetValid => Error::NotYetValid,
        other => Error::Token(other),
    })
}

pub(crate) fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1000))
}

/// A SHA-256 as 64 lower-case hexadecimal digits.
pub(crate) mod hex {
    use super::{Deserialize, Deserializer, Serializer, Unexpected};
    use harombe_canonical::Digest;
    use serde::de::Error as _;

    pub(crate) fn serialize<S: Serializer>(digest: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&Digest(*digest))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Str("…"), &"64 hexadecimal digits"))
    }

    fn parse(text: &str) -> Option<[u8; 32]> {
        let mut digest = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(digest)
    }

    fn nibble(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        }
    }
}

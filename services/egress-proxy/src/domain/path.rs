//! Paths as a server might read them, and the prefixes that confine a rule to a part of a site.

use std::fmt;

use crate::domain::denial::{AmbiguousPath, Malformed};

/// Bytes that RFC 3986 allows in a path segment besides percent-encoded octets.
fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// Checks path or query text: legal characters, whole percent triplets, no encoded control characters.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check_encoding(text: &str, extra: &[u8]) -> Result<(), Malformed> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let decoded = hex_pair(bytes.next(), bytes.next()).ok_or(Malformed::PercentEncoding)?;
            if decoded.is_ascii_control() {
                return Err(Malformed::ControlCharacter);
            }
        } else if !is_pchar(byte) && !extra.contains(&byte) {
            return Err(Malformed::IllegalCharacter);
        }
    }
    Ok(())
}

/// Refuses `.` and `..` segments in every spelling, with or without a path parameter behind them.
///
/// # Errors
/// [`Malformed::DotSegment`].
pub(crate) fn check_segments(path: &str) -> Result<(), Malformed> {
    for segment in path.split('/') {
        let decoded = decode(segment);
        let name = decoded.split(|&b| b == b';').next().unwrap_or_default();
        if name == b"." || name == b".." {
            return Err(Malformed::DotSegment);
        }
    }
    Ok(())
}

/// Says why a well-formed path could mean two things to two servers, if it could.
pub(crate) fn ambiguity(path: &str) -> Option<AmbiguousPath> {
    let decoded = decode(path);
    if decoded.contains(&b'%') {
        return Some(AmbiguousPath::DoubleEncoding);
    }
    let slashes = |bytes: &[u8]| bytes.iter().filter(|&&b| b == b'/').count();
    if decoded.contains(&b'\\') || slashes(&decoded) != slashes(path.as_bytes()) {
        return Some(AmbiguousPath::EncodedSeparator);
    }
    std::str::from_utf8(&decoded)
        .is_err()
        .then_some(AmbiguousPath::NotUtf8)
}

fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let decoded = if byte == b'%' {
            hex_pair(bytes.next(), bytes.next())
        } else {
            Some(byte)
        };
        out.extend(decoded);
    }
    out
}

fn hex_pair(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// A part of a site: `/docs` is `/docs` and all below it, `/docs/` only what is below it, `/` everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix(Box<str>);

impl PathPrefix {
    /// # Errors
    /// A sentence for the policy's author.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(format!("{text:?} must start with a slash"));
        }
        let plain = text.bytes().all(|b| is_pchar(b) || b == b'/');
        if !plain || check_segments(text).is_err() {
            return Err(format!(
                "{text:?} must be a plain path without encoding, wildcards or dot segments"
            ));
        }
        if text.contains('*') {
            return Err(format!("{text:?} is a prefix: it takes no wildcard"));
        }
        Ok(Self(text.into()))
    }

    /// Does it stand for the whole site?
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// Is `path` inside? Segments are compared as they are written, letter by letter.
    pub fn covers(&self, path: &str) -> bool {
        match path.strip_prefix(&*self.0) {
            Some(rest) => rest.is_empty() || self.0.ends_with('/') || rest.starts_with('/'),
            None => false,
        }
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(prefix: &str, path: &str) -> bool {
        PathPrefix::parse(prefix).expect("a prefix").covers(path)
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        assert!(covers("/", "/anything/at?all"));
        assert!(covers("/public", "/public") && covers("/public", "/public/a"));
        assert!(covers("/public/", "/public/") && covers("/public/", "/public/a"));
        for path in [
            "/publicity",
            "/public.../secret",
            "/public;x",
            "/PUBLIC/a",
            "/secret/public/",
            "/%70ublic/a",
        ] {
            assert!(!covers("/public", path), "{path}");
        }
        assert!(!covers("/public/", "/public"));
    }

    #[test]
    fn prefixes_are_plain() {
        for text in [
            "", "public", "/a/../b", "/a/./b", "/a%20b", "/a b", "/a/*", "/a?x", "/ä",
        ] {
            assert!(PathPrefix::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn dot_segments_are_seen_in_every_spelling() {
        for path in [
            "/..",
            "/a/../b",
            "/a/%2e%2E/b",
            "/a/.%2e",
            "/./a",
            "/%2e/",
            "/a/..;/b",
            "/a/..%3b/b",
            "/a/.;x=1",
        ] {
            assert_eq!(check_segments(path), Err(Malformed::DotSegment), "{path}");
        }
        for path in ["/", "/...", "/a..b/.hidden", "/a/..b", "/v1.2/;p"] {
            assert_eq!(check_segments(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn paths_with_two_readings_are_named() {
        assert_eq!(
            ambiguity("/public/%252e%252e/x"),
            Some(AmbiguousPath::DoubleEncoding)
        );
        assert_eq!(ambiguity("/public/%25"), Some(AmbiguousPath::DoubleEncoding));
        assert_eq!(ambiguity("/public/a%2fb"), Some(AmbiguousPath::EncodedSeparator));
        assert_eq!(ambiguity("/public/a%5Cb"), Some(AmbiguousPath::EncodedSeparator));
        assert_eq!(ambiguity("/public/%c0%ae"), Some(AmbiguousPath::NotUtf8));
        assert_eq!(ambiguity("/public/hello%20world/%C3%A4"), None);
    }

    #[test]
    fn encoding_is_checked() {
        assert_eq!(check_encoding("/a%20b", b"/"), Ok(()));
        assert_eq!(check_encoding("/a%2", b"/"), Err(Malformed::PercentEncoding));
        assert_eq!(check_encoding("/a%zz", b"/"), Err(Malformed::PercentEncoding));
        assert_eq!(
            check_encoding("/%0d%0aHost:", b"/"),
            Err(Malformed::ControlCharacter)
        );
        assert_eq!(check_encoding("/%00", b"/"), Err(Malformed::ControlCharacter));
        assert_eq!(check_encoding("/a\\b", b"/"), Err(Malformed::IllegalCharacter));
        assert_eq!(check_encoding("/ä", b"/"), Err(Malformed::IllegalCharacter));
    }

    proptest! {
        #[test]
        fn an_unambiguous_path_under_a_prefix_stays_there(rest in "[a-z0-9./%;]{0,24}") {
            let path = format!("/public/{rest}");
            let fine = check_encoding(&path, b"/").is_ok() && check_segments(&path).is_ok() && ambiguity(&path).is_none();
            if fine {
                // The naive server: decode everything twice, then resolve dot segments.
                let once = decode(&path);
                let twice = decode(std::str::from_utf8(&once).expect("checked utf-8"));
                let mut stack: Vec<&[u8]> = Vec::new();
                for segment in twice.split(|&b| b == b'/').skip(1) {
                    match segment {
                        b".." => { stack.pop(); }
                        b"." => {}
                        other => stack.push(other),
                    }
                }
                prop_assert_eq!(stack.first().copied(), Some(b"public".as_slice()));
            }
        }
    }
}

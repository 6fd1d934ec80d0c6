//! Sets of host names, compared label by label so that `evil-example.com` is never taken for `example.com`.

use std::collections::BTreeSet;

use serde::Serialize;

/// Longest host name in bytes (RFC 1035 §3.1, as text without the final dot).
pub(super) const MAX_HOST: usize = 253;

/// Host patterns: `example.com` is that host alone, `*.example.com` every host below it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostSet {
    exact: Names,
    below: Names,
}

/// Names in lower case with a summary that turns most strangers away before any is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
struct Names {
    names: BTreeSet<String>,
    #[serde(skip)]
    summary: u64,
}

impl Names {
    fn insert(&mut self, name: &str) {
        self.summary |= trait_bit(name);
        self.names.insert(name.to_owned());
    }

    fn contains(&self, name: &str) -> bool {
        self.summary & trait_bit(name) != 0 && self.names.contains(name)
    }
}

/// One of 64 bits, from a name's length and first letter.
fn trait_bit(name: &str) -> u64 {
    let first = name.as_bytes().first().copied().unwrap_or(0);
    1 << ((name.len() * 7 + usize::from(first)) % 64)
}

impl HostSet {
    /// Reads patterns.
    ///
    /// # Errors
    /// The patterns that are neither a host name nor `*.` and a host name.
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, Vec<String>> {
        let mut set = Self::default();
        let mut bad = Vec::new();
        for pattern in patterns {
            let written = pattern.as_ref();
            let lower = written.to_ascii_lowercase();
            let (into, name) = match lower.strip_prefix("*.") {
                Some(name) => (&mut set.below, name),
                None => (&mut set.exact, lower.as_str()),
            };
            if is_host_name(name) {
                into.insert(name);
            } else {
                bad.push(written.to_owned());
            }
        }
        if bad.is_empty() { Ok(set) } else { Err(bad) }
    }

    /// Whether `host` (ASCII, any case, no final dot) is in the set.
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        let mut buffer = [0_u8; MAX_HOST];
        let Some(lower) = buffer.get_mut(..host.len()) else {
            return false;
        };
        lower.copy_from_slice(host.as_bytes());
        lower.make_ascii_lowercase();
        let Ok(host) = std::str::from_utf8(lower) else {
            return false;
        };
        if self.exact.contains(host) {
            return true;
        }
        let dots = host.bytes().enumerate().filter(|(_, b)| *b == b'.');
        dots.filter_map(|(dot, _)| host.get(dot + 1..))
            .any(|parent| self.below.contains(parent))
    }
}

/// Whether `name` is made of non-empty labels of letters, digits, `-` and `_`.
pub(super) fn is_host_name(name: &str) -> bool {
    name.len() <= MAX_HOST
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

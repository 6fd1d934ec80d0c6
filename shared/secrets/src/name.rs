//! What a secret is called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Longest name, in bytes.
const MAX: usize = 64;

/// A name such as `anthropic`: letters, digits, `-`, `_` and `.`, not beginning with a dot. So it is one segment of a path,
/// and never one that leads elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SecretName(String);

impl SecretName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SecretName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=MAX).contains(&text.len()) && text.bytes().all(letter) && !text.starts_with('.') {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Name)
        }
    }
}

impl TryFrom<String> for SecretName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_plain_segment_of_a_path() {
        for text in ["a", "anthropic", "team-1_x.key", &"x".repeat(64)] {
            assert!(text.parse::<SecretName>().is_ok(), "{text}");
        }
        for text in [
            "",
            ".",
            "..",
            ".x",
            "a/b",
            "a b",
            "a%2fb",
            "é",
            "a\n",
            &"x".repeat(65),
        ] {
            assert!(text.parse::<SecretName>().is_err(), "{text:?}");
        }
    }
}

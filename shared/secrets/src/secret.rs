//! A secret value that wipes itself and shows itself to nobody by accident.

use std::fmt;

use zeroize::Zeroizing;

use crate::Error;

/// The shortest secret, in bytes. A shorter one could not be told from ordinary text, and so not be kept out of answers.
pub(crate) const MIN: usize = 8;

/// The longest, in bytes.
pub(crate) const MAX: usize = 64 * 1024;

/// A secret in UTF-8. Its memory is wiped when it is dropped; `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// # Errors
    /// The text is too short or too long.
    pub fn new(text: Zeroizing<String>) -> Result<Self, Error> {
        if (MIN..=MAX).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(Error::Length)
        }
    }

    /// What somebody typed or piped in: without the line's end.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub fn from_input(mut text: Zeroizing<String>) -> Result<Self, Error> {
        let kept = text.strip_suffix('\n').unwrap_or(&text);
        let kept = kept.strip_suffix('\r').unwrap_or(kept).len();
        text.truncate(kept);
        Self::new(text)
    }

    /// The value. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The value as text, with the same care.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &str) -> Result<Secret, Error> {
        Secret::from_input(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn the_end_of_a_line_is_no_part_of_a_secret() {
        for text in ["sk-12345", "sk-12345\n", "sk-12345\r\n"] {
            assert_eq!(input(text).expect("a secret").expose(), b"sk-12345", "{text:?}");
        }
        assert_eq!(input(" sk-1234 \n\n").expect("a secret").expose(), b" sk-1234 \n");
    }

    #[test]
    fn lengths_are_bounded_and_nothing_shows_the_value() {
        for text in ["", "short", "7bytes.\n", &"x".repeat(MAX + 1)] {
            assert!(matches!(input(text), Err(Error::Length)));
        }
        assert_eq!(format!("{:?}", input("sk-12345").expect("a secret")), "Secret(…)");
    }
}

//! Why something has no canonical form. No variant carries the offending text: arguments may hold secrets.

use std::fmt::Display;

/// A refusal. Offsets count bytes from the start of the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("text is not UTF-8 at byte {offset}")]
    InvalidUtf8 { offset: usize },
    #[error("text ends in the middle of a value")]
    UnexpectedEnd,
    #[error("not JSON at byte {offset}: expected {expected}")]
    Syntax { offset: usize, expected: &'static str },
    #[error("lone surrogate at byte {offset}")]
    LoneSurrogate { offset: usize },
    #[error("duplicate key at byte {offset}")]
    DuplicateKey { offset: usize },
    #[error("number at byte {offset} is too large for a double")]
    NumberTooLarge { offset: usize },
    #[error("integer at byte {offset} is beyond ±(2^53 - 1)")]
    IntegerTooLarge { offset: usize },
    #[error("data after the value, at byte {offset}")]
    TrailingData { offset: usize },
    #[error("more than {} levels of nesting", crate::MAX_DEPTH)]
    TooDeep,
    #[error("value has no canonical form: {0}")]
    Unsupported(&'static str),
    #[error("value could not be encoded: {0}")]
    Custom(String),
    #[error("text is not in canonical form")]
    NotCanonical,
    #[error("call has no member {0:?}, or not one of the right type")]
    Member(&'static str),
    #[error("call has members that a call does not have")]
    UnknownMember,
    #[error("call version is not 1")]
    Version,
}

impl serde::ser::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }
}

//! The one canonical encoding of Harombe, RFC 8785 JSON, so that two services that look at the same call, or at the same
//! audit leaf, hash the same bytes. What cannot survive a round trip unchanged is refused, never repaired.
//!
//! Beyond the RFC: duplicate keys, lone surrogates, integers beyond ±(2^53 − 1) and more than 64 levels of nesting are
//! errors, and `1.0`, `1e0` and `1` are one number, written `1`.

mod call;
mod digest;
mod encode;
mod error;
mod number;
mod parse;

use serde_json::Value;

pub use call::{CallParts, CanonicalCall};
pub use digest::Digest;
pub use encode::to_vec;
pub use error::Error;
pub use parse::parse;

/// How deep arrays and objects may be nested, the outermost one included.
pub const MAX_DEPTH: usize = 64;

/// The canonical form of a JSON text.
pub fn canonicalize(text: &[u8]) -> Result<Vec<u8>, Error> {
    to_vec(&parse(text)?)
}

/// Reads a JSON text that must already be in its canonical form, to the byte.
pub fn parse_canonical(text: &[u8]) -> Result<Value, Error> {
    let value = parse(text)?;
    if to_vec(&value)? != text {
        return Err(Error::NotCanonical);
    }
    Ok(value)
}

#[cfg(test)]
mod tests;

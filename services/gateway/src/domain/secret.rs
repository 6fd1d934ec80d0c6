//! The text of an API key: `hrb_`, 12 characters that name it, `_`, and 43 that prove it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Error;

const PREFIX: &str = "hrb_";
const ID: usize = 12;
const SECRET: usize = 32;
/// 32 characters that are not mistaken for each other (Crockford's base 32), so that five bits choose one.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The part of a key that names it; no secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeyId(String);

/// SHA-256 of the secret part. A random secret of 256 bits cannot be guessed, so no slow hash is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

/// A whole key: whoever has it may use it.
#[derive(Clone)]
pub(crate) struct ApiKey {
    id: KeyId,
    secret: [u8; SECRET],
}

/// No text of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAKey;

impl ApiKey {
    /// A new one.
    pub(crate) fn generate() -> Result<Self, Error> {
        let (mut name, mut secret) = ([0; ID], [0; SECRET]);
        rand::fill(&mut name)
            .and_then(|()| rand::fill(&mut secret))
            .map_err(|_| Error::Randomness)?;
        let character = |byte: &u8| ALPHABET.get(usize::from(byte % 32)).copied().map(char::from);
        let id = name.iter().filter_map(character).collect();
        Ok(Self {
            id: KeyId(id),
            secret,
        })
    }

    pub(crate) fn id(&self) -> &KeyId {
        &self.id
    }

    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = [0; 32];
        let hash = digest::digest(&digest::SHA256, &self.secret);
        bytes.copy_from_slice(hash.as_ref());
        Digest(bytes)
    }

    /// What its owner is shown, once.
    pub(crate) fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, URL_SAFE_NO_PAD.encode(self.secret))
    }
}

impl FromStr for ApiKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let rest = text.strip_prefix(PREFIX).ok_or(NotAKey)?;
        let (id, rest) = rest.split_at_checked(ID).ok_or(NotAKey)?;
        let encoded = rest.strip_prefix('_').ok_or(NotAKey)?;
        let mut secret = [0; SECRET];
        match URL_SAFE_NO_PAD.decode_slice(encoded, &mut secret) {
            Ok(SECRET) => Ok(Self {
                id: id.parse()?,
                secret,
            }),
            _ => Err(NotAKey),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({PREFIX}{}_…)", self.id)
    }
}

impl KeyId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        if text.len() == ID && text.bytes().all(|byte| ALPHABET.contains(&byte)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAKey)
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Digest {
    /// In a time that says nothing of where two digests differ.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = NotAKey;

    fn try_from(bytes: &[u8]) -> Result<Self, NotAKey> {
        bytes.try_into().map(Self).map_err(|_| NotAKey)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_shows_itself_only_when_asked() {
        let key = ApiKey::generate().unwrap();
        let text = key.reveal();
        assert_eq!(text.len(), 4 + 12 + 1 + 43);
        let read: ApiKey = text.parse().unwrap();
        assert_eq!(read.id(), key.id());
        assert!(read.digest().matches(&key.digest()));
        let secret = text.rsplit_once(&format!("{}_", key.id())).unwrap().1;
        assert!(!format!("{key:?} {:?}", key.digest()).contains(secret));
        let other = ApiKey::generate().unwrap();
        assert!(other.id() != key.id() && !other.digest().matches(&key.digest()));
    }

    #[test]
    fn other_texts_are_no_keys() {
        let text = ApiKey::generate().unwrap().reveal();
        let cut = &text[..text.len() - 1];
        let long = format!("{text}A");
        let upper = text.to_uppercase();
        let spaced = format!(" {text}");
        for bad in [
            "",
            "hrb_",
            "hrb",
            "Bearer",
            cut,
            &long,
            &upper,
            &spaced,
            &text.replacen('_', "-", 1),
            "hrb_éééééé_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "hrb_0123456789ab_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
            // No 32 bytes end like this.
            "hrb_0123456789ab_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
        ] {
            assert!(bad.parse::<ApiKey>().is_err(), "{bad:?}");
        }
    }
}

//! Ed25519 note keys and their text forms: `name+id+key` for verifiers, `PRIVATE+KEY+name+id+seed` for signers.

use std::fmt;

use aws_lc_rs::encoding::{AsBigEndian as _, Curve25519SeedBin};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::SignatureLine;
use crate::Error;

const ED25519_TYPE: u8 = 1;
const KEY_LEN: usize = 32;
const SECRET_PREFIX: &str = "PRIVATE+KEY+";

/// A public key that notes are checked against, with the name it signs under. Shown in the C2SP "vkey" form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    id: u32,
    public: [u8; KEY_LEN],
}

impl VerifyingKey {
    /// An Ed25519 public key under `name`, which must not be empty nor hold a space or a plus sign.
    pub fn new(name: &str, public: [u8; KEY_LEN]) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            id: key_id(name, &public),
            public,
        })
    }

    /// Reads the vkey form, and refuses one whose id is not that of its name and key.
    pub fn parse(vkey: &str) -> Result<Self, Error> {
        let (name, id, key) = split_key(vkey)?;
        let key = Self::new(name, decode_key(key)?)?;
        key.check_id(id)?;
        Ok(key)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of a hash over name and key: an identifier, not a security check.
    pub fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        UnparsedPublicKey::new(&ED25519, self.public)
            .verify(message, signature)
            .map_err(|_| Error::InvalidSignature {
                name: self.name.clone(),
                id: self.id,
            })
    }

    fn check_id(&self, id: u32) -> Result<(), Error> {
        if id == self.id {
            Ok(())
        } else {
            Err(Error::KeyIdMismatch)
        }
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode(typed(&self.public));
        write!(f, "{}+{:08x}+{key}", self.name, self.id)
    }
}

/// A private key that signs notes under its name. Its `Debug` form shows the public half only.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// The key made from 32 secret random bytes, which the caller draws.
    pub fn from_seed(name: &str, seed: &[u8; KEY_LEN]) -> Result<Self, Error> {
        let malformed = || Error::MalformedKey("not an Ed25519 seed");
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| malformed())?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| malformed())?;
        Ok(Self {
            pair,
            verifying: VerifyingKey::new(name, public)?,
        })
    }

    /// Reads the text form that [`SigningKey::to_secret_text`] writes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rest = text
            .strip_prefix(SECRET_PREFIX)
            .ok_or(Error::MalformedKey("not a private note key"))?;
        let (name, id, seed) = split_key(rest)?;
        let seed = Zeroizing::new(decode_key(seed)?);
        let key = Self::from_seed(name, &seed)?;
        key.verifying.check_id(id)?;
        Ok(key)
    }

    /// The private text form, for a file that only its service reads.
    pub fn to_secret_text(&self) -> Result<Zeroizing<String>, Error> {
        let seed = self.pair.seed().map_err(|_| Error::Signing)?;
        let seed: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| Error::Signing)?;
        let typed = Zeroizing::new(typed(seed.as_ref()));
        let encoded = Zeroizing::new(STANDARD.encode(typed.as_slice()));
        let VerifyingKey { name, id, .. } = &self.verifying;
        Ok(Zeroizing::new(format!(
            "{SECRET_PREFIX}{name}+{id:08x}+{}",
            *encoded
        )))
    }

    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    pub(super) fn sign_line(&self, text: &str) -> Result<SignatureLine, Error> {
        let signature = self.pair.try_sign(text.as_bytes()).map_err(|_| Error::Signing)?;
        Ok(SignatureLine {
            name: self.verifying.name.clone(),
            key_id: self.verifying.id,
            signature: signature.as_ref().to_owned(),
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("verifying", &self.verifying)
            .finish_non_exhaustive()
    }
}

pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let forbidden = |c: char| c.is_whitespace() || c.is_ascii_control() || c == '+';
    if name.is_empty() || name.contains(forbidden) {
        return Err(Error::InvalidKeyName);
    }
    Ok(())
}

fn key_id(name: &str, public: &[u8]) -> u32 {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update(b"\n")
        .chain_update(typed(public))
        .finalize()
        .into();
    digest.first_chunk().map_or(0, |id| u32::from_be_bytes(*id))
}

fn typed(key: &[u8]) -> Vec<u8> {
    [&[ED25519_TYPE], key].concat()
}

/// Splits `name+id+key` at the first two plus signs only: base64 may hold more of them.
fn split_key(text: &str) -> Result<(&str, u32, &str), Error> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Error::MalformedKey("not of the form name+id+key"));
    };
    let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if id.len() != 8 || !id.bytes().all(lower_hex) {
        return Err(Error::MalformedKey(
            "key id is not eight lower case hexadecimal digits",
        ));
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| Error::MalformedKey("key id is not a number"))?;
    Ok((name, id, key))
}

fn decode_key(text: &str) -> Result<[u8; KEY_LEN], Error> {
    let bytes = Zeroizing::new(
        STANDARD
            .decode(text)
            .map_err(|_| Error::MalformedKey("key is not base64"))?,
    );
    match bytes.split_first() {
        Some((&ED25519_TYPE, key)) => key
            .try_into()
            .map_err(|_| Error::MalformedKey("key is not 32 bytes")),
        Some(_) => Err(Error::MalformedKey("key type is not Ed25519")),
        None => Err(Error::MalformedKey("key is empty")),
    }
}

//! Wrapping data keys, for a database that others can read: what is stored opens nothing without a key from a file.
//!
//! Wrapped form: wrapping key's id (16 bytes) ‖ nonce (12) ‖ ciphertext (32) ‖ tag (16), bound to the data key's id and owner.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::{KEY_LEN, KeyId};
use crate::Error;

const NONCE_LEN: usize = 12;
const FORM: &str = "harombe-audit-wrapping-key-v1";

/// The key that wraps every data key of a log.
#[derive(Debug)]
pub(crate) struct WrappingKey {
    id: KeyId,
    key: RandomizedNonceKey,
}

impl WrappingKey {
    /// A new key, as the text that its file holds: form, id and key in hexadecimal, in one line.
    pub(crate) fn generate() -> Result<Zeroizing<String>, Error> {
        let mut id: KeyId = [0; 16];
        let mut secret = Zeroizing::new([0_u8; KEY_LEN]);
        rand::fill(&mut id)
            .and_then(|()| rand::fill(secret.as_mut_slice()))
            .map_err(|_| Error::Random)?;
        let secret = Zeroizing::new(hex::encode(secret.as_slice()));
        Ok(Zeroizing::new(format!(
            "{FORM}+{}+{}\n",
            hex::encode(id),
            *secret
        )))
    }

    /// Reads what [`WrappingKey::generate`] wrote; `None` when it is anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text
            .trim_end()
            .strip_prefix(FORM)?
            .strip_prefix('+')?
            .split_once('+')?;
        let mut key_id: KeyId = [0; 16];
        hex::decode_to_slice(id, &mut key_id).ok()?;
        let mut bytes = Zeroizing::new([0_u8; KEY_LEN]);
        hex::decode_to_slice(secret, bytes.as_mut_slice()).ok()?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes.as_slice()).ok()?;
        Some(Self { id: key_id, key })
    }

    pub(crate) fn id(&self) -> KeyId {
        self.id
    }

    /// Wraps the secret of the data key `id` of (`tenant`, `subject`).
    pub(crate) fn wrap(
        &self,
        id: KeyId,
        owner: (&str, &str),
        secret: &[u8; KEY_LEN],
    ) -> Result<Vec<u8>, Error> {
        let mut text = secret.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(bound(id, owner)), &mut text)
            .map_err(|_| Error::Seal)?;
        Ok([&self.id[..], nonce.as_ref(), &text].concat())
    }

    /// Opens what [`WrappingKey::wrap`] made for the same data key and owner; `None` when it is anything else.
    pub(crate) fn unwrap(
        &self,
        id: KeyId,
        owner: (&str, &str),
        wrapped: &[u8],
    ) -> Option<Zeroizing<[u8; KEY_LEN]>> {
        let (by, rest) = wrapped.split_first_chunk::<16>()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        if *by != self.id {
            return None;
        }
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(bound(id, owner)), &mut text)
            .ok()?;
        let secret: &[u8; KEY_LEN] = (&*opened).try_into().ok()?;
        Some(Zeroizing::new(*secret))
    }
}

/// What a wrapped key is bound to. Neither name can hold a zero byte.
fn bound(id: KeyId, (tenant, subject): (&str, &str)) -> Vec<u8> {
    [&id[..], tenant.as_bytes(), &[0], subject.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_it_wrapped_for_that_owner() {
        let text = WrappingKey::generate().unwrap();
        let key = WrappingKey::parse(&text).unwrap();
        let (id, owner, secret) = ([3; 16], ("local", "ann"), [7; KEY_LEN]);
        let wrapped = key.wrap(id, owner, &secret).unwrap();
        assert!(!wrapped.windows(4).any(|window| window == [7; 4]));
        assert_eq!(*key.unwrap(id, owner, &wrapped).unwrap(), secret);
        assert_eq!(key.unwrap([4; 16], owner, &wrapped), None);
        assert_eq!(key.unwrap(id, ("local", "bob"), &wrapped), None);
        let other = WrappingKey::parse(&WrappingKey::generate().unwrap()).unwrap();
        assert_ne!(other.id(), key.id());
        assert_eq!(other.unwrap(id, owner, &wrapped), None);
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert_eq!(key.unwrap(id, owner, &changed), None, "{at}");
            assert_eq!(key.unwrap(id, owner, &wrapped[..at]), None, "{at}");
        }
    }

    #[test]
    fn only_its_own_form_is_read() {
        let text = WrappingKey::generate().unwrap();
        assert!(WrappingKey::parse(&text).is_some());
        for bad in [
            "",
            "x",
            &text[1..],
            &text[..text.len() - 2],
            &text.replace('+', "-"),
            &text.replacen("v1+", "v1+00", 1),
            &text.replacen("v1+", "v1+z", 1),
        ] {
            assert!(WrappingKey::parse(bad).is_none(), "{bad}");
        }
    }
}

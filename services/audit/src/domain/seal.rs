//! Sealing details with a data key: AES-256-GCM with a random nonce, bound to the event they belong to, so that sealed
//! details cannot be moved to another entry.
//!
//! Sealed form: key id (16 bytes) ‖ nonce (12) ‖ ciphertext ‖ tag (16).

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use crate::Error;

pub(crate) const KEY_LEN: usize = 32;
const ID_LEN: usize = 16;
const NONCE_LEN: usize = 12;

/// Names a data key inside sealed details.
pub(crate) type KeyId = [u8; ID_LEN];

/// The key of one person's details.
#[derive(Debug)]
pub(crate) struct DataKey {
    id: KeyId,
    key: RandomizedNonceKey,
}

impl DataKey {
    pub(crate) fn new(id: KeyId, secret: &Zeroizing<[u8; KEY_LEN]>) -> Result<Self, Error> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, secret.as_slice()).map_err(|_| Error::Seal)?;
        Ok(Self { id, key })
    }

    /// Seals `details` for the event with the id `event`.
    pub(crate) fn seal(&self, event: &[u8; 16], details: Vec<u8>) -> Result<Vec<u8>, Error> {
        let mut text = details;
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(event), &mut text)
            .map_err(|_| Error::Seal)?;
        let mut sealed = Vec::with_capacity(ID_LEN + NONCE_LEN + text.len());
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Opens what [`DataKey::seal`] sealed for the same event; `None` when it is anything else.
    pub(crate) fn open(&self, event: &[u8; 16], sealed: &[u8]) -> Option<Vec<u8>> {
        let (id, rest) = sealed.split_first_chunk::<ID_LEN>()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        if *id != self.id {
            return None;
        }
        let mut text = text.to_owned();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(event), &mut text)
            .ok()?
            .len();
        text.truncate(opened);
        Some(text)
    }
}

/// Which key opens `sealed`.
pub(crate) fn key_id_of(sealed: &[u8]) -> Option<KeyId> {
    sealed.first_chunk::<ID_LEN>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_it_sealed_for_that_event() {
        let key = DataKey::new([1; 16], &Zeroizing::new([7; 32])).unwrap();
        let sealed = key.seal(&[3; 16], b"details".to_vec()).unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"details"));
        assert_eq!(key_id_of(&sealed), Some([1; 16]));
        assert_eq!(key.open(&[3; 16], &sealed).unwrap(), b"details");
        assert_eq!(key.open(&[4; 16], &sealed), None);
        let other = DataKey::new([1; 16], &Zeroizing::new([8; 32])).unwrap();
        assert_eq!(other.open(&[3; 16], &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&[3; 16], &changed), None, "{at}");
            assert_eq!(key.open(&[3; 16], &sealed[..at]), None, "{at}");
        }
        assert_ne!(key.seal(&[3; 16], b"details".to_vec()).unwrap(), sealed);
    }
}

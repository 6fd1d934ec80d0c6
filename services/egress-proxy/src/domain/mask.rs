//! Keeps a credential out of an answer that repeats it, however the answer is cut into pieces.
//!
//! A byte that belongs to the credential becomes a star: lengths stay as they were announced, and nothing waits but an end
//! that could be the credential's beginning.

use std::fmt;

use memchr::memmem::Finder;
use zeroize::Zeroizing;

/// Masks one credential, as it is and as a JSON string would write it.
pub struct Mask {
    needles: Vec<(Zeroizing<Vec<u8>>, Finder<'static>)>,
    /// The end of what was seen, which may be the credential's beginning, and which of its bytes are to be masked.
    held: Zeroizing<Vec<u8>>,
    stars: Vec<bool>,
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// For a credential; `None` masks nothing.
    pub fn new(credential: Option<&[u8]>) -> Self {
        let mut needles: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        if let Some(credential) = credential.filter(|credential| !credential.is_empty()) {
            needles.push(Zeroizing::new(credential.to_vec()));
            let json = serde_json::to_vec(&String::from_utf8_lossy(credential)).unwrap_or_default();
            let json = Zeroizing::new(json);
            let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
            if inner != credential {
                needles.push(Zeroizing::new(inner.to_vec()));
            }
        }
        let finder = |needle: Zeroizing<Vec<u8>>| {
            let finder = Finder::new(needle.as_slice()).into_owned();
            (needle, finder)
        };
        Self {
            needles: needles.into_iter().map(finder).collect(),
            held: Zeroizing::default(),
            stars: Vec::new(),
        }
    }

    /// The next piece of an answer, as far as it can be passed on.
    pub fn piece(&mut self, piece: &[u8]) -> Vec<u8> {
        if self.needles.is_empty() {
            return piece.to_vec();
        }
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(piece);
        let mut stars = std::mem::take(&mut self.stars);
        stars.resize(bytes.len(), false);
        self.find(&bytes, &mut stars);
        let ready = bytes.len() - self.begun(&bytes);
        let (done, rest) = bytes.split_at_checked(ready).unwrap_or((&bytes, &[]));
        self.stars = stars.get(ready..).unwrap_or_default().to_vec();
        self.held = Zeroizing::new(rest.to_vec());
        starred(done, &stars)
    }

    /// What was held back, when nothing more comes.
    pub fn end(&mut self) -> Vec<u8> {
        let (held, stars) = (std::mem::take(&mut self.held), std::mem::take(&mut self.stars));
        starred(&held, &stars)
    }

    /// Does a text hold the credential, in whatever letters?
    pub fn meets(&self, text: &[u8]) -> bool {
        let lower = text.to_ascii_lowercase();
        let within = |needle: &[u8]| {
            let needle = Zeroizing::new(needle.to_ascii_lowercase());
            memchr::memmem::find(&lower, &needle).is_some()
        };
        self.needles.iter().any(|(needle, _)| within(needle))
    }

    /// Occurrences may overlap, so the search goes on behind the first byte of each.
    fn find(&self, bytes: &[u8], stars: &mut [bool]) {
        for (needle, finder) in &self.needles {
            let mut from = 0;
            while let Some(at) = bytes.get(from..).and_then(|rest| finder.find(rest)) {
                let at = from + at;
                if let Some(stars) = stars.get_mut(at..at + needle.len()) {
                    stars.fill(true);
                }
                from = at + 1;
            }
        }
    }

    /// How many bytes at the end could be the beginning of an occurrence.
    fn begun(&self, bytes: &[u8]) -> usize {
        let longest = |needle: &[u8]| {
            let most = bytes.len().min(needle.len().saturating_sub(1));
            (1..=most)
                .rev()
                .find(|&length| bytes.ends_with(needle.get(..length).unwrap_or_default()))
        };
        let begun = self.needles.iter().filter_map(|(needle, _)| longest(needle));
        begun.max().unwrap_or(0)
    }
}

fn starred(bytes: &[u8], stars: &[bool]) -> Vec<u8> {
    let byte = |(byte, star): (&u8, &bool)| if *star { b'*' } else { *byte };
    bytes.iter().zip(stars).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(credential: &str, pieces: &[&str]) -> Vec<String> {
        let mut mask = Mask::new(Some(credential.as_bytes()));
        let mut out: Vec<_> = pieces.iter().map(|piece| mask.piece(piece.as_bytes())).collect();
        out.push(mask.end());
        out.into_iter()
            .map(|bytes| String::from_utf8(bytes).expect("text"))
            .collect()
    }

    #[test]
    fn the_credential_becomes_stars_of_its_length() {
        assert_eq!(masked("sk-1", &["a sk-1 b"]).concat(), "a **** b");
        assert_eq!(masked("sk-1", &["sk-1sk-1"]).concat(), "********");
        assert_eq!(
            masked("sk-1", &["a s", "k", "-1", " b sk-"]),
            ["a ", "", "****", " b ", "sk-"]
        );
        assert_eq!(masked("aXa", &["aXaXa"]).concat(), "*****");
        assert_eq!(masked("aXa", &["aX", "aX", "a"]).concat(), "*****");
        assert_eq!(
            masked("k\"1/", &[r#"{"key":"k\"1/"}"#]).concat(),
            r#"{"key":"*****"}"#
        );
    }

    #[test]
    fn what_is_not_its_beginning_never_waits() {
        assert_eq!(
            masked("sk-1", &["data: x\n\n", "data: y\n\n"]),
            ["data: x\n\n", "data: y\n\n", ""]
        );
    }

    #[test]
    fn without_a_credential_nothing_changes() {
        let mut mask = Mask::new(None);
        assert_eq!(mask.piece(b"anything"), b"anything");
        assert!(mask.end().is_empty() && !mask.meets(b"anything"));
        assert!(Mask::new(Some(b"Sk-1")).meets(b"x-sK-1-y"));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_no_credential_is_left(text in "[ab]{0,40}", cuts in prop::collection::vec(0usize..40, 0..6)) {
            for credential in ["abab", "aab", "ba", "aaaa"] {
                let mut cuts: Vec<usize> = cuts.iter().map(|&cut| cut.min(text.len())).collect();
                cuts.extend([0, text.len()]);
                cuts.sort_unstable();
                let pieces: Vec<_> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
                let out = masked(credential, &pieces).concat();
                prop_assert_eq!(&out, &masked(credential, &[&text]).concat(), "as in one piece");
                prop_assert_eq!(out.len(), text.len());
                for (at, _) in text.match_indices(credential) {
                    prop_assert!(out[at..at + credential.len()].bytes().all(|byte| byte == b'*'));
                }
                prop_assert!(!out.contains(credential));
            }
        }
    }
}

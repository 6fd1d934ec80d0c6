//! Checkpoints (C2SP tlog-checkpoint v1.0.0): the signed statement "this log has this many leaves and this root".

use std::fmt;

use crate::Error;
use crate::hash::{Hash, empty_root};
use crate::node::check_size;
use crate::note::{Note, SigningKey, VerifyingKey};

/// The state of one log. Its `Display` form is the text that a note signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    /// Lines after the root, each without its newline. Opaque; we write none ourselves.
    extensions: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of the log named `origin`: one line of text, stable for the life of the log.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, Error> {
        Self::with_extensions(origin, size, root, Vec::new())
    }

    /// Reads the text of a checkpoint note.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let body = text
            .strip_suffix('\n')
            .ok_or(Error::MalformedCheckpoint("last line is not ended"))?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(Error::MalformedCheckpoint("fewer than three lines"));
        };
        let size = parse_size(size)?;
        Self::with_extensions(origin, size, root.parse()?, lines.map(str::to_owned).collect())
    }

    /// Signs the checkpoint. The key's name must be the origin, so that a log's name and its signer cannot drift apart.
    /// Sign only what is durable: two signed checkpoints that contradict each other are proof of misbehaviour.
    pub fn sign(&self, key: &SigningKey) -> Result<Note, Error> {
        let signer = key.verifying_key().name();
        if signer != self.origin {
            return Err(Error::WrongOrigin {
                expected: signer.to_owned(),
                actual: self.origin.clone(),
            });
        }
        Note::sign(&self.to_string(), &[key])
    }

    /// Reads a signed checkpoint and checks that `log`, whose name is the expected origin, signed it.
    pub fn open(note: &[u8], log: &VerifyingKey) -> Result<Self, Error> {
        let note = Note::parse(note)?;
        note.verify(std::slice::from_ref(log))?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != log.name() {
            return Err(Error::WrongOrigin {
                expected: log.name().to_owned(),
                actual: checkpoint.origin,
            });
        }
        Ok(checkpoint)
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many leaves the log had.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The RFC 6962 root over those leaves.
    pub fn root(&self) -> &Hash {
        &self.root
    }

    fn with_extensions(origin: &str, size: u64, root: Hash, extensions: Vec<String>) -> Result<Self, Error> {
        let is_line = |line: &str| !line.is_empty() && !line.bytes().any(|byte| byte < b' ');
        if !is_line(origin) {
            return Err(Error::MalformedCheckpoint(
                "origin is empty or holds a control character",
            ));
        }
        if !extensions.iter().all(|line| is_line(line)) {
            return Err(Error::MalformedCheckpoint(
                "extension is empty or holds a control character",
            ));
        }
        check_size(size)?;
        if size == 0 && root != empty_root() {
            return Err(Error::MalformedCheckpoint(
                "empty log with another root than the empty one",
            ));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
            extensions,
        })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn parse_size(text: &str) -> Result<u64, Error> {
    let malformed = Error::MalformedCheckpoint("size is not a plain decimal number");
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !plain {
        return Err(malformed);
    }
    text.parse().map_err(|_| malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tlog_tiles::tlog as peer;

    use super::*;
    use crate::{leaf_hash, naive};

    const ORIGIN: &str = "audit.example/tenant-a";

    fn key() -> SigningKey {
        SigningKey::from_seed(ORIGIN, &[9; 32]).unwrap()
    }

    #[test]
    fn signs_and_opens() {
        let root = naive::root(&naive::leaves(5));
        let checkpoint = Checkpoint::new(ORIGIN, 5, root).unwrap();
        assert_eq!(checkpoint.to_string(), format!("{ORIGIN}\n5\n{root}\n"));
        let note = checkpoint.sign(&key()).unwrap().to_string();
        assert_eq!(
            Checkpoint::open(note.as_bytes(), key().verifying_key()).unwrap(),
            checkpoint
        );
    }

    #[test]
    fn refuses_the_wrong_log() {
        let other = SigningKey::from_seed("audit.example/tenant-b", &[8; 32]).unwrap();
        let checkpoint = Checkpoint::new(ORIGIN, 0, empty_root()).unwrap();
        assert!(matches!(checkpoint.sign(&other), Err(Error::WrongOrigin { .. })));
        let borrowed = Note::sign(&checkpoint.to_string(), &[&other])
            .unwrap()
            .to_string();
        assert!(matches!(
            Checkpoint::open(borrowed.as_bytes(), other.verifying_key()),
            Err(Error::WrongOrigin { .. })
        ));
        let note = checkpoint.sign(&key()).unwrap().to_string();
        assert_eq!(
            Checkpoint::open(note.as_bytes(), other.verifying_key()),
            Err(Error::NoKnownSignature)
        );
    }

    #[test]
    fn refuses_malformed_text() {
        let root = leaf_hash(b"x");
        for text in [
            String::new(),
            "\n".to_owned(),
            format!("{ORIGIN}\n1\n"),
            format!("{ORIGIN}\n1\n{root}"),
            format!("\n1\n{root}\n"),
            format!("{ORIGIN}\n01\n{root}\n"),
            format!("{ORIGIN}\n+1\n{root}\n"),
            format!("{ORIGIN}\n\n{root}\n"),
            format!("{ORIGIN}\n-1\n{root}\n"),
            format!("{ORIGIN}\n99999999999999999999\n{root}\n"),
            format!("{ORIGIN}\n{}\n{root}\n", u64::MAX),
            format!("{ORIGIN}\n0\n{root}\n"),
            format!("{ORIGIN}\n1\n{root}\n\n"),
            format!("{ORIGIN}\n1\n{root}\nextension\n\n"),
            format!("{ORIGIN}\n1\nAAAA\n"),
            format!("{ORIGIN}\n1\n{}\n", root.to_string().trim_end_matches('=')),
            format!("{ORIGIN}\r\n1\r\n{root}\r\n"),
        ] {
            assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn writes_the_same_bytes_as_peer(
            size in 1_u64..=i64::MAX as u64,
            origin in "[a-z./ -]{1,30}",
            extensions in prop::collection::vec("[a-z ]{1,10}", 0..3),
            root in any::<[u8; 32]>(),
        ) {
            let lines: String = extensions.iter().map(|line| format!("{line}\n")).collect();
            let theirs = tlog_tiles::Checkpoint::new(&origin, size, peer::Hash(root), &lines).unwrap();
            let ours = Checkpoint::with_extensions(&origin, size, Hash::new(root), extensions).unwrap();
            prop_assert_eq!(ours.to_string().into_bytes(), theirs.to_bytes());
            prop_assert_eq!(Checkpoint::parse(&ours.to_string()).unwrap(), ours);
        }

        #[test]
        fn parser_takes_any_text(text in "(?s).{0,100}") {
            if let Ok(checkpoint) = Checkpoint::parse(&text) {
                prop_assert_eq!(checkpoint.to_string(), text);
            }
        }
    }
}

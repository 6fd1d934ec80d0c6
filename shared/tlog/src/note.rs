//! Signed notes (C2SP signed-note v1.0.0): a text that people can read, followed by signature lines that machines check.

mod keys;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Error;
pub use keys::{SigningKey, VerifyingKey};

/// The most bytes and signature lines a note may have. The specification asks for at least 16 lines; post-quantum
/// signatures reach 5 kB each.
const MAX_NOTE_BYTES: usize = 1 << 20;
const MAX_SIGNATURES: usize = 64;
const SIGNATURE_MARK: &str = "\u{2014} ";

/// A text and its signatures, well formed and not yet verified: only [`Note::verify`] says whether to believe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

/// One signature line: who signed, and the bytes after the 4-byte key id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    pub name: String,
    pub key_id: u32,
    pub signature: Vec<u8>,
}

impl Note {
    /// Signs `text`, which must end with a newline and hold no other control character.
    pub fn sign(text: &str, keys: &[&SigningKey]) -> Result<Self, Error> {
        check_text(text)?;
        let signatures = keys
            .iter()
            .map(|key| key.sign_line(text))
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// Reads a note. The signatures follow the last blank line, since the text may have blank lines of its own.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(Error::MalformedNote("longer than 1 MiB"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| Error::MalformedNote("not UTF-8"))?;
        let (text, lines) = note
            .rsplit_once("\n\n")
            .ok_or(Error::MalformedNote("no blank line"))?;
        let text = format!("{text}\n");
        check_text(&text)?;
        let lines = lines
            .strip_suffix('\n')
            .ok_or(Error::MalformedNote("last line is not ended"))?;
        let signatures = lines
            .split('\n')
            .take(MAX_SIGNATURES + 1)
            .map(SignatureLine::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(Error::MalformedNote("too many signatures"));
        }
        Ok(Self { text, signatures })
    }

    /// The names of the keys among `known` that signed this note. Lines of other keys are skipped, which is what lets
    /// keys rotate and witnesses join; a line of a known key that does not verify condemns the whole note, and so does
    /// having no line of a known key.
    pub fn verify<'a>(&self, known: &'a [VerifyingKey]) -> Result<Vec<&'a VerifyingKey>, Error> {
        let mut signers = Vec::new();
        for line in &self.signatures {
            let Some(key) = known
                .iter()
                .find(|key| key.name() == line.name && key.id() == line.key_id)
            else {
                continue;
            };
            key.verify(self.text.as_bytes(), &line.signature)?;
            if !signers.contains(&key) {
                signers.push(key);
            }
        }
        if signers.is_empty() {
            return Err(Error::NoKnownSignature);
        }
        Ok(signers)
    }

    /// The signed bytes, final newline included.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str("\n")?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl SignatureLine {
    fn parse(line: &str) -> Result<Self, Error> {
        let malformed = Error::MalformedNote("signature line is not `— name base64`");
        let rest = line
            .strip_prefix(SIGNATURE_MARK)
            .ok_or_else(|| malformed.clone())?;
        let (name, blob) = rest.split_once(' ').ok_or_else(|| malformed.clone())?;
        keys::check_name(name)?;
        let blob = STANDARD.decode(blob).map_err(|_| malformed.clone())?;
        match blob.split_first_chunk() {
            Some((id, signature)) if !signature.is_empty() => Ok(Self {
                name: name.to_owned(),
                key_id: u32::from_be_bytes(*id),
                signature: signature.to_owned(),
            }),
            _ => Err(malformed),
        }
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [&self.key_id.to_be_bytes(), self.signature.as_slice()].concat();
        write!(f, "{SIGNATURE_MARK}{} {}", self.name, STANDARD.encode(blob))
    }
}

fn check_text(text: &str) -> Result<(), Error> {
    if !text.ends_with('\n') {
        return Err(Error::MalformedNote("text does not end with a newline"));
    }
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(Error::MalformedNote("control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Text as the tokens that the model was trained on.

use std::io::Read as _;
use std::path::Path;

use tokenizers::Tokenizer;

use crate::folder::Pinned;
use crate::{Error, Known};

/// Bytes of a text that are looked at when it is embedded: several times what the longest text that counts has.
const MOST: usize = 16 << 10;

pub(super) struct Tokens {
    tokenizer: Tokenizer,
    most: usize,
}

impl Tokens {
    /// # Errors
    /// The file is absent, altered or unreadable.
    pub(super) fn open(folder: &Path, known: &Known) -> Result<Self, Error> {
        let mut pinned = Pinned::open(folder, known.file("tokenizer.json")?)?;
        let mut text = Vec::new();
        let read = pinned.read_to_end(&mut text);
        read.map_err(|source| Error::read(&pinned.path, source))?;
        pinned.finish()?;
        let failed = |error: tokenizers::Error| Error::Tokenizer(error.to_string());
        let mut tokenizer = Tokenizer::from_bytes(&text).map_err(failed)?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(failed)?;
        // "[SEP]" in a text is what it looks like, and no command to the model
        tokenizer.set_encode_special_tokens(true);
        Ok(Self {
            tokenizer,
            most: usize::try_from(known.max_tokens).unwrap_or(usize::MAX),
        })
    }

    /// The text's tokens with those around it, as many as count.
    pub(super) fn of(&self, text: &str) -> Result<Vec<u32>, Error> {
        let mut tokens = self.encode(beginning(text), true)?;
        if tokens.len() > self.most {
            // the last says that the text ends
            let last = tokens.pop();
            tokens.truncate(self.most - 1);
            tokens.extend(last);
        }
        Ok(tokens)
    }

    /// How many tokens all of the text has, without those around it.
    pub(super) fn count(&self, mut text: &str) -> usize {
        let mut count = 0;
        while !text.is_empty() {
            let piece = piece(text);
            // nothing can be said of a text that fails, so it counts as its bytes: never too few
            count += self
                .encode(piece, false)
                .map_or(piece.len(), |tokens| tokens.len());
            text = text.get(piece.len()..).unwrap_or_default();
        }
        count
    }

    fn encode(&self, text: &str, around: bool) -> Result<Vec<u32>, Error> {
        let encoded = self.tokenizer.encode_fast(text, around);
        let encoded = encoded.map_err(|error| Error::Tokenizer(error.to_string()))?;
        Ok(encoded.get_ids().to_vec())
    }
}

/// What can count of a text.
pub(super) fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MOST)).unwrap_or(text)
}

/// The beginning of a text up to a place where no word is cut, if there is one.
fn piece(text: &str) -> &str {
    let piece = beginning(text);
    if piece.len() == text.len() {
        return text;
    }
    match piece.rfind(char::is_whitespace) {
        Some(end) if end > 0 => piece.get(..end).unwrap_or(piece),
        _ => piece,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_counted_between_words() {
        let text = "é".repeat(MOST);
        assert_eq!(beginning(&text).len(), MOST);
        let shifted = format!("a{text}");
        assert_eq!(beginning(&shifted).len(), MOST - 1);
        assert_eq!(piece(&shifted).len(), MOST - 1);
        let words = "word ".repeat(MOST);
        assert!(piece(&words).ends_with("word") && piece(&words).len() > MOST - 6);
        assert_eq!(piece("a b"), "a b");
        assert_eq!(piece(""), "");
    }
}

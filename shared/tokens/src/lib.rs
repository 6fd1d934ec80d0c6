//! Counts the tokens of a text as a model's provider does: with its vocabulary where that is public, with a tokenizer's
//! file where there is one, and by an estimate that errs upward where there is neither. Counting takes a time that grows
//! with the text and with nothing else, whatever the text is.

mod choice;
mod cut;
mod error;
mod estimate;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use tiktoken_rs::CoreBPE;

pub use choice::{Choice, Encoding, openai};
pub use error::Error;

/// Bytes of a text that a tokenizer sees at once: some take a time that grows with the square of a word.
const PIECE: usize = 2048;

/// Longest file of a tokenizer, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// The public vocabularies. Each is loaded once, when something is first counted with it; the larger takes 45 MB.
#[derive(Clone, Default)]
pub struct Vocabularies {
    o200k: Arc<OnceLock<Option<CoreBPE>>>,
    cl100k: Arc<OnceLock<Option<CoreBPE>>>,
}

/// Counts tokens. Cheap to clone.
#[derive(Clone)]
pub struct Counter {
    means: Means,
}

#[derive(Clone)]
enum Means {
    Estimate,
    Vocabulary(Encoding, Arc<OnceLock<Option<CoreBPE>>>),
    File(Arc<str>, Arc<tokenizers::Tokenizer>),
}

impl Vocabularies {
    /// A counter of this kind. A tokenizer's file is read now.
    ///
    /// # Errors
    /// The file cannot be read, or is no tokenizer's.
    pub fn counter(&self, choice: &Choice) -> Result<Counter, Error> {
        let means = match choice {
            Choice::Estimate => Means::Estimate,
            Choice::Encoding(Encoding::O200k) => Means::Vocabulary(Encoding::O200k, Arc::clone(&self.o200k)),
            Choice::Encoding(Encoding::Cl100k) => {
                Means::Vocabulary(Encoding::Cl100k, Arc::clone(&self.cl100k))
            }
            Choice::File(path) => open(path)?,
        };
        Ok(Counter { means })
    }
}

impl Counter {
    /// Counts by the estimate.
    pub fn estimate() -> Self {
        Self {
            means: Means::Estimate,
        }
    }

    /// Whether it only estimates, which is the same for every model.
    pub fn is_estimate(&self) -> bool {
        matches!(self.means, Means::Estimate)
    }

    /// The name of what counts: a vocabulary's, a tokenizer's file's, or "estimate".
    pub fn name(&self) -> &str {
        match &self.means {
            Means::Estimate => "estimate",
            Means::Vocabulary(encoding, _) => encoding.name(),
            Means::File(name, _) => name,
        }
    }

    /// Tokens of the text. Where a long word or a long run of spaces had to be cut, up to one more for each cut.
    pub fn count(&self, text: &str) -> u64 {
        let pieces = cut::pieces(text, PIECE);
        match &self.means {
            Means::Estimate => estimate::tokens(text),
            Means::Vocabulary(encoding, loaded) => match loaded.get_or_init(|| encoding.load()) {
                Some(bpe) => pieces
                    .map(|piece| bpe.encode_ordinary(piece.text).len() as u64 + piece.added())
                    .sum(),
                // a test holds the vocabularies to being there
                None => estimate::tokens(text),
            },
            Means::File(_, tokenizer) => pieces
                .map(|piece| {
                    let encoded = tokenizer.encode_fast(piece.text, false);
                    let tokens = encoded.map(|encoded| encoded.len() as u64);
                    tokens.unwrap_or_else(|_| estimate::tokens(piece.text)) + piece.added()
                })
                .sum(),
        }
    }
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Counter").field(&self.name()).finish()
    }
}

fn open(path: &Path) -> Result<Means, Error> {
    let read = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let invalid = |source| Error::NoTokenizer {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(read)?.len();
    if size > MAX_FILE {
        return Err(Error::TooLarge {
            path: path.to_owned(),
            most: MAX_FILE,
        });
    }
    let bytes = std::fs::read(path).map_err(read)?;
    let mut tokenizer = tokenizers::Tokenizer::from_bytes(bytes).map_err(invalid)?;
    // what a model cuts off was still sent to it
    tokenizer.with_truncation(None).map_err(invalid)?;
    tokenizer.with_padding(None);
    // what a person writes is text, whatever it looks like
    tokenizer.set_encode_special_tokens(true);
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    Ok(Means::File(name.into(), Arc::new(tokenizer)))
}

//! Why there is no such counter.

use std::path::PathBuf;

/// A tokenizer's file that is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there, or not readable.
    #[error("cannot read the tokenizer {path}; check the path")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is longer than a tokenizer.
    #[error("the tokenizer {path} is longer than {most} bytes; give the model's tokenizer.json")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// In bytes.
        most: u64,
    },
    /// It is something else.
    #[error("{path} is no tokenizer; give the model's tokenizer.json")]
    NoTokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

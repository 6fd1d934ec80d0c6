//! `--model`: what stands behind the default agent.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// `scripted:FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// A file of turns, for demos and tests.
    Scripted(PathBuf),
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no model; say scripted:FILE")]
pub struct InvalidModel(String);

impl FromStr for ModelSource {
    type Err = InvalidModel;

    fn from_str(text: &str) -> Result<Self, InvalidModel> {
        match text.split_once(':') {
            Some(("scripted", file)) if !file.is_empty() => Ok(Self::Scripted(PathBuf::from(file))),
            _ => Err(InvalidModel(text.to_owned())),
        }
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scripted(file) => write!(f, "scripted:{}", file.display()),
        }
    }
}

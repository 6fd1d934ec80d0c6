//! The models that are known, each file with the digest it must have. `models.json` is also what the setup script reads.

use std::sync::LazyLock;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{Error, Model};

/// The model that memory uses unless told otherwise.
pub const DEFAULT_MODEL: &str = "all-minilm-l6-v2";

/// A model that can be used here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Its name, also of its folder.
    pub name: String,
    /// Where it comes from, for a person.
    pub about: String,
    /// SPDX.
    pub licence: String,
    /// Numbers in a vector.
    pub dimension: u32,
    /// Tokens of a text that count.
    pub max_tokens: u32,
    /// The Python package that carries its files.
    pub package: Package,
    /// All that is needed of it.
    pub files: Vec<KnownFile>,
}

/// A package of the Python package index.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name there.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// Where the files lie in it.
    pub folder: String,
}

/// One file of a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFile {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest, in hexadecimal.
    pub sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    models: Vec<Known>,
}

/// All known models.
#[must_use]
pub fn models() -> &'static [Known] {
    static ALL: LazyLock<Vec<Known>> = LazyLock::new(|| {
        // the file is ours; a test reads it
        serde_json::from_str::<Catalogue>(include_str!("../models.json"))
            .map_or_else(|_| Vec::new(), |catalogue| catalogue.models)
    });
    &ALL
}

/// The known model of that name.
///
/// # Errors
/// [`Error::UnknownModel`].
pub fn known(name: &str) -> Result<&'static Known, Error> {
    let found = models().iter().find(|known| known.name == name);
    found.ok_or_else(|| Error::UnknownModel {
        name: name.to_owned(),
    })
}

impl Known {
    /// One digest over all files.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for file in &self.files {
            hash.update(format!("{} {}\n", file.name, file.sha256));
        }
        hex::encode(hash.finalize())
    }

    /// What is recorded with its vectors.
    #[must_use]
    pub fn model(&self) -> Model {
        Model {
            name: self.name.clone(),
            digest: self.digest(),
            dimension: self.dimension,
            max_tokens: self.max_tokens,
        }
    }

    pub(crate) fn file(&self, name: &str) -> Result<&KnownFile, Error> {
        let found = self.files.iter().find(|file| file.name == name);
        found.ok_or_else(|| Error::UnknownModel {
            name: format!("{} with {name}", self.name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_can_be_read_and_names_safe_files() {
        let known = known(DEFAULT_MODEL).unwrap();
        assert_eq!(known.model().dimension, 384);
        for file in models().iter().flat_map(|known| &known.files) {
            assert!(
                file.name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
                "{file:?}"
            );
            assert!(
                !file.name.starts_with('.') && file.name != "manifest.json",
                "{file:?}"
            );
            assert_eq!(hex::decode(&file.sha256).unwrap().len(), 32, "{file:?}");
        }
        assert!(matches!(super::known("nothing"), Err(Error::UnknownModel { .. })));
    }
}

//! Vectors of one embedding model: a model that changes is another generation, filled while the old one serves.

use std::path::PathBuf;

use harombe_embedding::Model;
use harombe_retrieval::VIEWS;
use harombe_vectors::{Collection, FORMAT};
use serde::{Deserialize, Serialize};

/// Letters of a model's name that its collections' names have.
const NAME_MAX: usize = 40;
/// And of its digest.
const DIGEST: usize = 8;

/// What is known of a model's vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generation {
    /// What its collections' names begin with: the model's, its digest, and how points are written.
    pub(crate) name: String,
    pub(crate) dimension: u32,
    pub(crate) source: Source,
    /// All memories are in it: it may serve.
    pub(crate) complete: bool,
}

/// Where a model is had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    Folder(PathBuf),
    Upstream {
        name: String,
        model: String,
        dimension: u32,
    },
}

impl Generation {
    /// Of a model, with nothing in it yet.
    pub(crate) fn of(model: &Model, source: Source) -> Self {
        Self {
            name: name(model),
            dimension: model.dimension,
            source,
            complete: false,
        }
    }

    /// One for each view of a memory.
    pub(crate) fn collections(&self) -> Vec<Collection> {
        let collection = |view: &&str| Collection {
            name: format!("{}-{view}", self.name),
            dimension: self.dimension,
        };
        VIEWS.iter().map(collection).collect()
    }
}

fn name(model: &Model) -> String {
    let letter = |letter: char| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9') => letter,
        _ => '-',
    };
    let name: String = model.name.chars().map(letter).take(NAME_MAX).collect();
    let digest: String = model.digest.chars().take(DIGEST).collect();
    format!("{name}-{digest}-{FORMAT}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_a_collection_may_have() {
        let model = Model {
            name: "Org/Größe:latest-and-a-very-long-tail-that-goes-on-and-on".to_owned(),
            digest: "0123456789abcdef".to_owned(),
            dimension: 384,
            max_tokens: 256,
        };
        let generation = Generation::of(&model, Source::Folder("models/x".into()));
        assert_eq!(
            generation.name,
            format!("org-gr--e-latest-and-a-very-long-tail-th-01234567-{FORMAT}")
        );
        for collection in generation.collections() {
            assert!(collection.name.len() <= 64, "{}", collection.name);
            assert_eq!(collection.dimension, 384);
        }
    }
}

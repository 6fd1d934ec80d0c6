//! The state of the log as of the last commit.

use std::sync::Arc;

use harombe_tlog::{Checkpoint, SigningKey, TileBuilder};

use crate::Error;

/// The tree and its signed checkpoint; what is not yet in a full tile is in here.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    tree: TileBuilder,
    note: Arc<str>,
}

impl Head {
    /// Signs a checkpoint over `tree`.
    pub(crate) fn sign(tree: TileBuilder, key: &SigningKey) -> Result<Self, Error> {
        let checkpoint = Checkpoint::new(key.verifying_key().name(), tree.size(), tree.root())?;
        let note = checkpoint.sign(key)?.to_string().into();
        Ok(Self { tree, note })
    }

    /// A head whose checkpoint was signed before.
    pub(crate) fn resume(tree: TileBuilder, note: String) -> Self {
        Self {
            tree,
            note: note.into(),
        }
    }

    pub(crate) fn tree(&self) -> &TileBuilder {
        &self.tree
    }

    /// Entries in the log.
    pub(crate) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The signed note.
    pub(crate) fn note(&self) -> &str {
        &self.note
    }
}

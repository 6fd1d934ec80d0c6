//! The tamper-evident log in its pure form: an RFC 6962 Merkle tree over SHA-256, its proofs, and the C2SP formats
//! (signed note, checkpoint, tiles) in which its state is published. Nothing here reads a file or a clock, and no
//! input makes it panic; where the hashes are stored is the caller's affair.
//!
//! Reading order: [`hash`], [`node`], [`frontier`], [`proof`], [`tile`], then [`note`] and [`checkpoint`].

pub mod checkpoint;
mod error;
pub mod frontier;
pub mod hash;
pub mod node;
pub mod note;
pub mod proof;
pub mod tile;

pub use checkpoint::Checkpoint;
pub use error::Error;
pub use frontier::Frontier;
pub use hash::{Hash, empty_root, leaf_hash, node_hash};
pub use node::{MAX_SIZE, Node};
pub use note::{Note, SigningKey, VerifyingKey};
pub use proof::{ProofPlan, verify_consistency, verify_inclusion};
pub use tile::{Tile, TileBuilder, TileId};

#[cfg(test)]
mod naive;

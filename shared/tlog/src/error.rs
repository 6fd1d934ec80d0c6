//! Everything that can be wrong with a tree position, a proof, a note or a checkpoint.

/// Why a value was refused. A verifier treats every variant the same way: the thing is not proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("tree size {0} is beyond the largest supported size")]
    SizeTooLarge(u64),
    #[error("index {index} is outside a tree of {size} leaves")]
    IndexOutOfRange { index: u64, size: u64 },
    #[error("old size {old} is larger than new size {new}")]
    SizesReversed { old: u64, new: u64 },
    #[error("a tree of {size} leaves has {expected} {what}, not {actual}")]
    WrongHashCount {
        size: u64,
        what: &'static str,
        expected: usize,
        actual: usize,
    },
    #[error("inclusion proof does not lead to the root")]
    InclusionMismatch,
    #[error("consistency proof does not lead to both roots")]
    ConsistencyMismatch,
    #[error("hash is not 32 bytes of standard base64")]
    MalformedHash,
    #[error("tile is not a whole number of 32-byte hashes, between 1 and 256")]
    MalformedTile,
    #[error("malformed note: {0}")]
    MalformedNote(&'static str),
    #[error("key name is empty or holds a space or a plus sign")]
    InvalidKeyName,
    #[error("malformed key: {0}")]
    MalformedKey(&'static str),
    #[error("key id does not belong to the key")]
    KeyIdMismatch,
    #[error("signature by the known key {name}+{id:08x} is wrong")]
    InvalidSignature { name: String, id: u32 },
    #[error("no known key signed the note")]
    NoKnownSignature,
    #[error("malformed checkpoint: {0}")]
    MalformedCheckpoint(&'static str),
    #[error("checkpoint is of log {actual:?}, not {expected:?}")]
    WrongOrigin { expected: String, actual: String },
    #[error("the signing library refused the operation")]
    Signing,
}

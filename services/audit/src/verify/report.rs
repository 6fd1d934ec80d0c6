//! What a successful verification found.

/// A log that is what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Entries checked.
    pub entries: u64,
    /// Signed checkpoints checked.
    pub checkpoints: u64,
    /// The root over all entries, in base64.
    pub root: String,
    /// The public key, as a C2SP vkey.
    pub key: String,
    pub trust: Trust,
    /// Events that a writer numbered and the log does not hold. A writer that could not reach the log (and refused its
    /// act for that reason) or was killed leaves such a gap, so this is told and is not damage.
    pub unaccounted: Vec<Unaccounted>,
}

/// Where the public key came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The caller gave it: it was kept elsewhere.
    Given,
    /// It lay beside the log, where whoever replaced the log could have replaced it too.
    Beside,
}

/// A fault in the numbers that one process of a service gave its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unaccounted {
    pub service: String,
    pub instance: String,
    /// How many numbers are missing.
    pub missing: u64,
    /// The first of them.
    pub first: Option<u64>,
    /// How many numbers came more than once.
    pub repeated: u64,
}

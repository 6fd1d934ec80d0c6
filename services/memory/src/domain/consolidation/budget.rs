//! How much is done at a time, so that nobody waits for it.

use std::time::Duration;

/// What a cycle may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Memories that are looked at.
    pub(crate) memories: u32,
    /// Processor time.
    pub(crate) processor: Duration,
}

/// What a cycle has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cycle {
    pub(crate) memories: u32,
    pub(crate) processor: Duration,
}

impl Cycle {
    pub(super) fn looked_at(&mut self, memories: usize) {
        self.memories = self
            .memories
            .saturating_add(u32::try_from(memories).unwrap_or(u32::MAX));
    }

    pub(super) fn has_spent(&self, allowance: Allowance) -> bool {
        self.memories >= allowance.memories || self.processor >= allowance.processor
    }
}

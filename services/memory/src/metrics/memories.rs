//! What is counted of memories that are kept.

use harombe_rpc::Metrics;
use harombe_telemetry::metrics::{Counter, Family};

use crate::domain::{MemoryKind, Whose};

type Label = [(&'static str, &'static str); 1];

/// Of memories. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct MemoryNumbers {
    saved: Family<Label, Counter>,
    refused: Family<Label, Counter>,
    forgotten: Family<Label, Counter>,
    set_aside: Counter,
}

impl MemoryNumbers {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            saved: metrics.metric(
                "harombe_memory_memories_saved",
                "Memories that were saved, by their kind",
                Family::default,
            ),
            refused: metrics.metric(
                "harombe_memory_memories_refused",
                "Times that nothing was saved because as many memories are kept as may be, by whose",
                Family::default,
            ),
            forgotten: metrics.metric(
                "harombe_memory_memories_forgotten",
                "Times that memories were hidden, restored and erased",
                Family::default,
            ),
            set_aside: metrics.metric(
                "harombe_memory_steps_set_aside",
                "Steps that the audit log refuses for good, left to the next start: what they saved stays invisible",
                Counter::default,
            ),
        }
    }

    pub(crate) fn saved(&self, kind: MemoryKind) {
        self.saved.get_or_create(&[("kind", kind.as_str())]).inc();
    }

    pub(crate) fn refused(&self, limit: Whose) {
        self.refused.get_or_create(&[("limit", limit.as_str())]).inc();
    }

    pub(crate) fn set_aside(&self) {
        self.set_aside.inc();
    }

    pub(crate) fn forgotten(&self, what: &'static str) {
        self.forgotten.get_or_create(&[("what", what)]).inc();
    }
}

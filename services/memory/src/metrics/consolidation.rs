//! What keeping memories in order counts.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use harombe_rpc::Metrics;
use harombe_telemetry::metrics::{Counter, Family, Gauge};

use crate::domain::consolidation::{Cycle, Why, Writer};

type Label = [(&'static str, &'static str); 1];
type Seconds = Counter<f64, AtomicU64>;

/// What became of work for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worked {
    Given,
    Saved,
    /// What it was made of had changed.
    Outdated,
}

impl Worked {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Saved => "saved",
            Self::Outdated => "outdated",
        }
    }
}

/// Of consolidation. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct ConsolidationNumbers {
    behind: Gauge,
    looked_at: Counter,
    linked: Family<Label, Counter>,
    summaries: Family<Label, Counter>,
    work: Family<Label, Counter>,
    seconds: Family<Label, Seconds>,
}

impl ConsolidationNumbers {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            behind: metrics.metric(
                "harombe_memory_consolidation_behind",
                "Subjects with changes that were not looked at by the end of the last cycle",
                Gauge::default,
            ),
            looked_at: metrics.metric(
                "harombe_memory_consolidation_memories",
                "Memories that were looked at",
                Counter::default,
            ),
            linked: metrics.metric(
                "harombe_memory_consolidation_links",
                "Memories whose place another has taken, by why",
                Family::default,
            ),
            summaries: metrics.metric(
                "harombe_memory_consolidation_summaries",
                "Summaries that were written, by whom",
                Family::default,
            ),
            work: metrics.metric(
                "harombe_memory_consolidation_work",
                "Stretches of sessions that models were to sum up, by what became of them",
                Family::default,
            ),
            seconds: metrics.metric(
                "harombe_memory_consolidation_seconds",
                "Time that cycles took, in all and of a processor",
                Family::default,
            ),
        }
    }

    pub(crate) fn cycle(&self, cycle: Cycle, took: Duration) {
        self.looked_at.inc_by(cycle.memories.into());
        let of = |what| self.seconds.get_or_create(&[("of", what)]);
        of("cycle").inc_by(took.as_secs_f64());
        of("processor").inc_by(cycle.processor.as_secs_f64());
    }

    pub(crate) fn set_behind(&self, behind: u64) {
        self.behind.set(i64::try_from(behind).unwrap_or(i64::MAX));
    }

    pub(crate) fn linked(&self, why: Why) {
        self.linked.get_or_create(&[("why", why.as_str())]).inc();
    }

    pub(crate) fn summarised(&self, by: Writer) {
        self.summaries.get_or_create(&[("by", by.as_str())]).inc();
    }

    pub(crate) fn worked(&self, what: Worked) {
        self.work.get_or_create(&[("what", what.as_str())]).inc();
    }
}

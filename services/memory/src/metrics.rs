//! What memory counts of its own; calls are counted by the server stack. What is counted where it happens is this process's;
//! runs under way are all processes' on one store, so each says the same.

mod consolidation;
mod memories;
mod recall;

use harombe_rpc::Metrics;
use harombe_telemetry::metrics::{Counter, Family, Gauge};

use crate::domain::{ActiveRuns, Renewal, RunState, Whose};
use crate::error::Error;

pub(crate) use consolidation::{ConsolidationNumbers, Worked};
pub(crate) use recall::{IndexNumbers, IndexUse, RecallNumbers};

pub(crate) use memories::MemoryNumbers;

type Label = [(&'static str, &'static str); 1];
type Labels = [(&'static str, &'static str); 2];

/// memory's metrics. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    sessions: Family<Label, Counter>,
    begun: Counter,
    refused: Family<Label, Counter>,
    ended: Family<Labels, Counter>,
    leases: Family<Label, Counter>,
    entries: Counter,
    watches: Gauge,
    active: Gauge,
    unclaimed: Gauge,
}

/// What happens to a lease, besides that it is renewed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Leased {
    /// Given to who asked for it.
    Acquired,
    /// Given up by its holder.
    Released,
    /// Taken over when it had expired or was given up.
    Claimed,
    /// Somebody wrote under one that was over.
    Refused,
}

/// Who ended a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Runtime,
    /// Nobody drove the run, and nobody may or was to go on with it.
    Memory,
}

impl Numbers {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            sessions: metrics.metric(
                "harombe_memory_sessions",
                "Sessions that were created and deleted",
                Family::default,
            ),
            begun: metrics.metric(
                "harombe_memory_turns_begun",
                "Turns that have begun",
                Counter::default,
            ),
            refused: metrics.metric(
                "harombe_memory_turns_refused",
                "Turns that did not begin because as many runs were under way as may be, by whose",
                Family::default,
            ),
            ended: metrics.metric(
                "harombe_memory_turns_ended",
                "Turns that have ended, by how and by whom",
                Family::default,
            ),
            leases: metrics.metric(
                "harombe_memory_leases",
                "What happened to leases after a turn began",
                Family::default,
            ),
            entries: metrics.metric(
                "harombe_memory_journal_entries",
                "Entries written to journals",
                Counter::default,
            ),
            watches: metrics.metric(
                "harombe_memory_watches",
                "Streams that follow a run",
                Gauge::default,
            ),
            active: metrics.metric(
                "harombe_memory_runs_active",
                "Runs under way at the last sweep",
                Gauge::default,
            ),
            unclaimed: metrics.metric(
                "harombe_memory_runs_unclaimed",
                "Runs under way that nobody drove at the last sweep",
                Gauge::default,
            ),
        }
    }

    pub(crate) fn session_created(&self) {
        self.sessions.get_or_create(&[("what", "created")]).inc();
    }

    pub(crate) fn session_deleted(&self) {
        self.sessions.get_or_create(&[("what", "deleted")]).inc();
    }

    pub(crate) fn turn_begun(&self) {
        self.begun.inc();
    }

    pub(crate) fn turn_refused(&self, limit: Whose) {
        self.refused.get_or_create(&[("limit", limit.as_str())]).inc();
    }

    pub(crate) fn turn_ended(&self, state: RunState, by: By) {
        let outcome = match state {
            RunState::Active => "active",
            RunState::Finished => "finished",
            RunState::Failed => "failed",
            RunState::Cancelled => "cancelled",
        };
        let by = match by {
            By::Runtime => "runtime",
            By::Memory => "memory",
        };
        self.ended
            .get_or_create(&[("outcome", outcome), ("by", by)])
            .inc();
    }

    pub(crate) fn lease(&self, what: Leased) {
        self.count_lease(match what {
            Leased::Acquired => "acquired",
            Leased::Released => "released",
            Leased::Claimed => "claimed",
            Leased::Refused => "refused",
        });
    }

    /// Counts a write that was refused because its lease is over.
    pub(crate) fn failed_write(&self, error: &Error) {
        if matches!(error, Error::LeaseLost) {
            self.lease(Leased::Refused);
        }
    }

    pub(crate) fn renewal(&self, renewal: Renewal) {
        self.count_lease(match renewal {
            Renewal::Held { .. } => "renewed",
            Renewal::Lost => "lost",
            Renewal::Ended => "ended",
        });
    }

    fn count_lease(&self, what: &'static str) {
        self.leases.get_or_create(&[("what", what)]).inc();
    }

    pub(crate) fn entries_written(&self, entries: usize) {
        self.entries.inc_by(u64::try_from(entries).unwrap_or(u64::MAX));
    }

    pub(crate) fn set_active(&self, runs: ActiveRuns) {
        let shown = |runs| i64::try_from(runs).unwrap_or(i64::MAX);
        self.active.set(shown(runs.all));
        self.unclaimed.set(shown(runs.unclaimed));
    }

    /// Counts one who watches, as long as the value lives.
    pub(crate) fn watching(&self) -> Watching {
        self.watches.inc();
        Watching(self.watches.clone())
    }
}

/// One who watches a run.
#[derive(Debug)]
pub(crate) struct Watching(Gauge);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.dec();
    }
}

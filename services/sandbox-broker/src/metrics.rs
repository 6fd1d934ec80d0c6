//! What the broker counts of its own; calls are counted by the server stack.

use harombe_telemetry::metrics::{Counter, Family, Gauge, Histogram, Metrics, exponential_buckets};

use crate::broker::Report;
use crate::domain::execution::Ending;
use crate::domain::language::Language;
use crate::error::Error;

type Labels = [(&'static str, &'static str); 2];

/// The broker's metrics. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    executions: Family<Labels, Counter>,
    start: Histogram,
    running: Gauge,
    waiting: Gauge,
    workspaces: Gauge,
    bytes: Gauge,
    room: Gauge,
}

/// Something that goes on, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct GoesOn(Gauge);

impl GoesOn {
    fn begin(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GoesOn {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What all workspaces hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) workspaces: u64,
    /// Bytes on disk.
    pub(crate) bytes: u64,
}

impl Numbers {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            executions: metrics.metric(
                "harombe_sandbox_executions",
                "Executions that came to an end, by language and how it ended",
                Family::default,
            ),
            // From 10 ms to 10 s.
            start: metrics.metric(
                "harombe_sandbox_start_seconds",
                "From the request to create a sandbox until its program runs",
                || Histogram::new(exponential_buckets(0.01, 2.0, 11)),
            ),
            running: metrics.metric("harombe_sandbox_running", "Sandboxes in use now", Gauge::default),
            waiting: metrics.metric(
                "harombe_sandbox_waiting",
                "Executions that wait for a sandbox now",
                Gauge::default,
            ),
            workspaces: metrics.metric(
                "harombe_sandbox_workspaces",
                "Workspaces that there were at the last look",
                Gauge::default,
            ),
            bytes: metrics.metric(
                "harombe_sandbox_workspaces_bytes",
                "Bytes that workspaces held on disk at the last look",
                Gauge::default,
            ),
            room: metrics.metric(
                "harombe_sandbox_disk_free_bytes",
                "Bytes that the disk of the workspaces had room for at the last look",
                Gauge::default,
            ),
        }
    }

    /// An execution that was let in, and how it ended.
    pub(crate) fn executed(&self, language: Language, report: Result<&Report, &Error>) {
        let outcome = match report {
            Ok(report) => {
                self.start.observe(report.finished.start.as_secs_f64());
                outcome(report.finished.ending)
            }
            Err(_) => "error",
        };
        let labels = [("language", language.as_str()), ("outcome", outcome)];
        self.executions.get_or_create(&labels).inc();
    }

    /// As long as what is returned lives, a sandbox is in use.
    pub(crate) fn runs(&self) -> GoesOn {
        GoesOn::begin(&self.running)
    }

    /// As long as what is returned lives, an execution waits for a sandbox.
    pub(crate) fn waits(&self) -> GoesOn {
        GoesOn::begin(&self.waiting)
    }

    pub(crate) fn hold(&self, holdings: Holdings) {
        self.workspaces.set(signed(holdings.workspaces));
        self.bytes.set(signed(holdings.bytes));
    }

    pub(crate) fn has_room(&self, bytes: u64) {
        self.room.set(signed(bytes));
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// One of few words, and never anything that a program chose.
const fn outcome(ending: Ending) -> &'static str {
    match ending {
        Ending::Exited(0) => "ok",
        Ending::Exited(_) => "exit_code",
        Ending::Signaled(_) => "signal",
        Ending::MemoryLimit => "memory_limit",
        Ending::TimeLimit => "time_limit",
        Ending::OutputLimit => "output_limit",
        Ending::WorkspaceLimit => "workspace_limit",
        Ending::Abandoned => "abandoned",
    }
}

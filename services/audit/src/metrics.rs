//! Every metric of the service. Calls are counted by the server stack.

use std::time::Duration;

use harombe_rpc::Metrics;
use harombe_telemetry::metrics::{Counter, Gauge, Histogram, exponential_buckets};

/// Numbers about the log as this instance has it. Clones count together.
#[derive(Clone)]
pub(crate) struct Numbers {
    /// 1 where appends are taken. The sum over the instances of one log is 1, or 0 while the next writer takes over.
    pub(crate) writer: Gauge,
    entries: Gauge,
    commits: Histogram,
    groups: Histogram,
    index_lag: Gauge,
    /// Steps of the query index that failed, and are tried again.
    pub(crate) index_failures: Counter,
}

impl Numbers {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            writer: metrics.metric(
                "harombe_audit_writer",
                "Whether this instance writes the log",
                Gauge::default,
            ),
            entries: metrics.metric(
                "harombe_audit_entries",
                "Entries of the log at the last commit of this instance",
                Gauge::default,
            ),
            commits: metrics.metric(
                "harombe_audit_commit_seconds",
                "Time from the plan of a group of appends until it is durable and signed; the count is that of groups",
                || Histogram::new(exponential_buckets(0.000_5, 2.0, 15)),
            ),
            groups: metrics.metric(
                "harombe_audit_group_entries",
                "Entries that one commit added",
                || Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            ),
            index_lag: metrics.metric(
                "harombe_audit_index_lag",
                "Entries that the query index had not taken in when this instance last looked",
                Gauge::default,
            ),
            index_failures: metrics.metric(
                "harombe_audit_index_failures",
                "Steps of the query index that failed and are tried again",
                Counter::default,
            ),
        }
    }

    /// Entries of the log when this instance last committed or took it over.
    pub(crate) fn set_entries(&self, entries: u64) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// A group of so many entries is durable.
    pub(crate) fn committed(&self, entries: u64, took: Duration) {
        self.commits.observe(took.as_secs_f64());
        // Far below 2^32: a group is bounded.
        self.groups
            .observe(f64::from(u32::try_from(entries).unwrap_or(u32::MAX)));
    }

    pub(crate) fn set_index_lag(&self, entries: u64) {
        self.index_lag.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }
}

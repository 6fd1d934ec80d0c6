//! Every metric of the service. Calls are counted by the server stack.

use harombe_rpc::Metrics;
use harombe_telemetry::metrics::Gauge;

/// Numbers about the log as this instance has it.
#[derive(Clone)]
pub(crate) struct Numbers {
    /// 1 where appends are taken. The sum over the instances of one log is 1, or 0 while the next writer takes over.
    pub(crate) writer: Gauge,
    entries: Gauge,
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
        }
    }

    /// Entries of the log when this instance last committed or took it over.
    pub(crate) fn set_entries(&self, entries: u64) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }
}

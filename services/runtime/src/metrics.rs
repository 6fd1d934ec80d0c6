//! What runtime counts of its own; calls are counted by the server stack.

use std::sync::atomic::AtomicU64;

use harombe_telemetry::metrics::{Gauge, Metrics};

/// Runtime's metrics. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    memory_ahead: Gauge<f64, AtomicU64>,
}

impl Numbers {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            memory_ahead: metrics.metric(
                "harombe_runtime_memory_clock_ahead_seconds",
                "How far memory's clock is ahead of this node's, negative when it is behind",
                Gauge::default,
            ),
        }
    }

    /// In milliseconds.
    pub(crate) fn memory_ahead(&self, millis: i64) {
        let millis = i32::try_from(millis).unwrap_or(if millis < 0 { i32::MIN } else { i32::MAX });
        self.memory_ahead.set(f64::from(millis) / 1000.0);
    }
}

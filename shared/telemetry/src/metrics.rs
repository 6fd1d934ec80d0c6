//! Numbers about a running process, for whoever scrapes them: one registry, passed along and not global, because several
//! services may share a process.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::text;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
pub use prometheus_client::registry::Metric;
use prometheus_client::registry::Registry;

use crate::process::ProcessNumbers;

/// What [`Metrics::encode`] is written in.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of one process. Clones share the same registry.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Inner>>);

struct Inner {
    registry: Registry,
    known: HashMap<&'static str, Box<dyn Any + Send>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessNumbers));
        Self(Arc::new(Mutex::new(Inner {
            registry,
            known: HashMap::new(),
        })))
    }
}

impl Metrics {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The metric of that name: made and registered at first, and given again to everyone who asks later, so that the
    /// services of one process share it. `name` has no unit suffix of a counter (`_total` is added), `help` no full stop.
    pub fn metric<M>(&self, name: &'static str, help: &'static str, make: impl FnOnce() -> M) -> M
    where
        M: Metric + Clone,
    {
        let mut inner = self.0.lock();
        if let Some(known) = inner.known.get(name) {
            if let Some(metric) = known.downcast_ref::<M>() {
                return metric.clone();
            }
            // Two parts of the program mean different things by one name: the second is counted but not shown.
            tracing::error!(
                name,
                "a metric of this name and another type is registered already"
            );
            return make();
        }
        let metric = make();
        inner.registry.register(name, help, metric.clone());
        inner.known.insert(name, Box::new(metric.clone()));
        metric
    }

    /// All metrics as they are now, in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let inner = self.0.lock();
        if text::encode(&mut text, &inner.registry).is_err() {
            // Writing to a string does not fail; a metric that cannot be encoded leaves a page without its end mark.
            tracing::error!("the metrics could not be encoded");
        }
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_for_a_name_gets_the_same_metric() {
        let metrics = Metrics::new();
        let other = metrics.clone();
        let first: Counter = metrics.metric("tries", "How often it was tried", Counter::default);
        let second: Counter = other.metric("tries", "How often it was tried", Counter::default);
        first.inc();
        second.inc();
        assert!(other.encode().contains("\ntries_total 2\n"));
        let page = metrics.encode();
        assert!(page.contains("\ntries_total 2\n"), "{page}");
        assert!(page.contains("# HELP tries How often it was tried.\n"), "{page}");
        assert!(page.ends_with("# EOF\n"), "{page}");
    }

    #[test]
    fn another_type_under_a_known_name_does_no_harm() {
        let metrics = Metrics::new();
        let counter: Counter = metrics.metric("things", "Things", Counter::default);
        let gauge: Gauge = metrics.metric("things", "Things", Gauge::default);
        counter.inc();
        gauge.set(7);
        let page = metrics.encode();
        assert_eq!(page.matches("# TYPE things").count(), 1, "{page}");
        assert!(page.contains("things_total 1"), "{page}");
    }

    #[test]
    fn a_process_says_how_much_memory_it_takes() {
        let page = Metrics::new().encode();
        for name in [
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_threads",
        ] {
            let line = page.lines().find(|line| line.starts_with(&format!("{name} ")));
            let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
            assert!(value.is_some_and(|value| value > 0), "{name} in {page}");
        }
    }
}

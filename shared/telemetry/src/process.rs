//! What the kernel says about this process, read when somebody asks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::gauge::ConstGauge;

/// Memory, descriptors and threads under the names that Prometheus's own clients use; what cannot be read is left out.
#[derive(Debug)]
pub(crate) struct ProcessNumbers;

impl Collector for ProcessNumbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let descriptors = std::fs::read_dir("/proc/self/fd").map(Iterator::count);
        let numbers = [
            (
                "process_resident_memory_bytes",
                "Resident memory",
                field(&status, "VmRSS:").map(|kib| kib.saturating_mul(1024)),
            ),
            (
                "process_open_fds",
                "Open file descriptors",
                descriptors.ok().and_then(|count| i64::try_from(count).ok()),
            ),
            ("process_threads", "Threads", field(&status, "Threads:")),
        ];
        for (name, help, value) in numbers {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(
                    name,
                    help,
                    None,
                    prometheus_client::metrics::MetricType::Gauge,
                )?)?;
            }
        }
        Ok(())
    }
}

fn field(status: &str, name: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

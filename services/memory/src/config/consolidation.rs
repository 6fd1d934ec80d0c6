//! How much keeping memories in order may take.

use std::time::Duration;

use harombe_config::{JsonSchema, Span};
use serde::{Deserialize, Serialize};

use crate::domain::consolidation::Allowance;

const EVERY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(24 * 3600));
const MEMORIES: (u32, u32) = (1, 1_000_000);
const PROCESSOR: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(60));

/// How what is remembered is kept in order: what is said twice is linked, what holds no longer too, and long sessions get
/// summaries. Nothing is erased by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct ConsolidationConfig {
    /// Whether it is done. What changes while it is off is looked at when it is on again.
    pub enabled: bool,
    /// The rest between two cycles. From 10 ms to a day.
    pub every: Span,
    /// Memories that a cycle looks at, before it rests. From 1 to 1,000,000.
    pub budget: u32,
    /// Processor time that a cycle takes for comparing and summarising, before it rests. From 1 ms to 1 min.
    pub processor: Span,
}

impl Default for ConsolidationConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: Duration::from_secs(30).into(),
            budget: 10_000,
            processor: Duration::from_millis(500).into(),
        }
    }
}

impl ConsolidationConfig {
    pub(super) fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(EVERY.0..=EVERY.1).contains(&self.every.as_duration()) {
            faults.push(
                "memory.consolidation.every: must be from \"10ms\" to \"24h\"; the default is \"30s\""
                    .to_owned(),
            );
        }
        if !(MEMORIES.0..=MEMORIES.1).contains(&self.budget) {
            faults.push(
                "memory.consolidation.budget: must be from 1 to 1000000; the default is 10000".to_owned(),
            );
        }
        if !(PROCESSOR.0..=PROCESSOR.1).contains(&self.processor.as_duration()) {
            faults.push(
                "memory.consolidation.processor: must be from \"1ms\" to \"60s\"; the default is \"500ms\""
                    .to_owned(),
            );
        }
        faults
    }
}

impl From<&ConsolidationConfig> for Allowance {
    fn from(config: &ConsolidationConfig) -> Self {
        Self {
            memories: config.budget,
            processor: config.processor.as_duration(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_named() {
        assert!(ConsolidationConfig::default().validate().is_empty());
        let wrong = ConsolidationConfig {
            every: Duration::ZERO.into(),
            budget: 0,
            processor: Duration::from_secs(61).into(),
            ..ConsolidationConfig::default()
        };
        let faults = wrong.validate();
        for key in ["every", "budget", "processor"] {
            let key = format!("memory.consolidation.{key}:");
            assert!(
                faults.iter().any(|fault| fault.starts_with(&key)),
                "{key} in {faults:?}"
            );
        }
    }
}

//! How much recall may take.

use std::time::Duration;

use harombe_config::{JsonSchema, Size, Span};
use serde::{Deserialize, Serialize};

const CACHE: (u64, u64) = (1 << 20, 1 << 40);
const WITHIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(30));
const THREADS: (u32, u32) = (1, 64);

/// How memories are searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct RecallConfig {
    /// Bytes of subjects' word indexes that are kept in memory, once they are searched; one subject has half of them at
    /// most, and is found by words only in what fits. 100,000 memories of 100 bytes take about 40 MiB. From 1 MiB to 1 TiB.
    pub index_cache: Size,
    /// How long finding by meaning may take: after that, the answer is by words alone. From 10 ms to 30 s.
    pub dense_within: Span,
    /// Large indexes that are loaded or ranked at once, each on a thread. From 1 to 64.
    pub threads: u32,
}

impl Default for RecallConfig {
    fn default() -> Self {
        Self {
            index_cache: (128 << 20).into(),
            dense_within: Duration::from_secs(2).into(),
            threads: 2,
        }
    }
}

impl RecallConfig {
    pub(super) fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(CACHE.0..=CACHE.1).contains(&self.index_cache.as_bytes()) {
            faults.push("memory.recall.index_cache: must be from \"1MiB\" to \"1024GiB\"".to_owned());
        }
        if !(WITHIN.0..=WITHIN.1).contains(&self.dense_within.as_duration()) {
            faults.push("memory.recall.dense_within: must be from \"10ms\" to \"30s\"".to_owned());
        }
        if !(THREADS.0..=THREADS.1).contains(&self.threads) {
            faults.push("memory.recall.threads: must be from 1 to 64".to_owned());
        }
        faults
    }
}

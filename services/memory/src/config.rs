//! What an operator can set.

mod consolidation;
mod embedding;
mod recall;

use std::time::Duration;

use harombe_config::{JsonSchema, Span};
use harombe_sql::StoreConfig;
use serde::{Deserialize, Serialize};

use crate::domain::RunLimits;

pub use consolidation::ConsolidationConfig;
pub use embedding::{EmbeddingConfig, UpstreamConfig};
pub use recall::RecallConfig;

const LEASE_MIN: Duration = Duration::from_secs(1);
const LEASE_MAX: Duration = Duration::from_secs(300);
/// They are counted with each that begins.
const RUNS_MAX: u32 = 1_000_000;
/// They are read into the index of a search.
const SUBJECT_MAX: u32 = 10_000_000;
const TENANT_MAX: u32 = 1_000_000_000;
const ERASE_AFTER_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Configuration of the memory service; all of it has defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a runtime may be silent before another takes its run over. Shorter means quicker recovery and
    /// more renewals. From 1 s to 5 min.
    pub lease: Span,
    /// Where conversations and journals are kept.
    pub store: StoreConfig,
    /// Whether turns become memories when they have ended. What is said while it is off becomes memories when it is on again.
    pub remember_turns: bool,
    /// How long a memory that its person has forgotten can be restored before it is erased. At most 10 years.
    pub erase_after: Span,
    /// How much may be under way, and kept.
    pub limits: LimitConfig,
    /// The model that memories are found with by their meaning.
    pub embedding: EmbeddingConfig,
    /// Where the vectors of memories are kept.
    pub vectors: harombe_vectors::Config,
    /// How memories are searched.
    pub recall: RecallConfig,
    /// How what is remembered is kept in order.
    pub consolidation: ConsolidationConfig,
}

/// How much may be under way at once, and how much is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct LimitConfig {
    /// Runs of one subject, in all sessions together. From 1 to 1,000,000.
    pub runs_per_subject: u32,
    /// Runs of one tenant. From 1 to 1,000,000.
    pub runs_per_tenant: u32,
    /// Memories of one subject, hidden ones included. From 1 to 10,000,000.
    pub memories_per_subject: u32,
    /// Memories of one tenant. From 1 to 1,000,000,000.
    pub memories_per_tenant: u32,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            runs_per_subject: 256,
            runs_per_tenant: 10_000,
            memories_per_subject: 100_000,
            memories_per_tenant: 2_000_000,
        }
    }
}

impl From<&LimitConfig> for RunLimits {
    fn from(config: &LimitConfig) -> Self {
        Self {
            per_subject: config.runs_per_subject,
            per_tenant: config.runs_per_tenant,
        }
    }
}

impl From<&LimitConfig> for crate::domain::MemoryLimits {
    fn from(config: &LimitConfig) -> Self {
        Self {
            per_subject: config.memories_per_subject,
            per_tenant: config.memories_per_tenant,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease: Span::from(Duration::from_secs(10)),
            store: StoreConfig::default(),
            remember_turns: true,
            erase_after: Span::from(Duration::from_secs(24 * 3600)),
            limits: LimitConfig::default(),
            embedding: EmbeddingConfig::default(),
            vectors: harombe_vectors::Config::default(),
            recall: RecallConfig::default(),
            consolidation: ConsolidationConfig::default(),
        }
    }
}

impl Config {
    /// Every fault, each naming its key and what to do.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(LEASE_MIN..=LEASE_MAX).contains(&self.lease.as_duration()) {
            faults.push("memory.lease: must be from \"1s\" to \"5m\"; the default is \"10s\"".to_owned());
        }
        faults.extend(self.store.validate("memory.store"));
        faults.extend(self.embedding.validate());
        faults.extend(self.vectors.validate("memory.vectors"));
        faults.extend(self.recall.validate());
        faults.extend(self.consolidation.validate());
        if self.erase_after.as_duration() > ERASE_AFTER_MAX {
            faults.push("memory.erase_after: must be at most \"3650d\"; the default is \"24h\"".to_owned());
        }
        let limits = &self.limits;
        for (key, given, most) in [
            ("runs_per_subject", limits.runs_per_subject, RUNS_MAX),
            ("runs_per_tenant", limits.runs_per_tenant, RUNS_MAX),
            ("memories_per_subject", limits.memories_per_subject, SUBJECT_MAX),
            ("memories_per_tenant", limits.memories_per_tenant, TENANT_MAX),
        ] {
            if !(1..=most).contains(&given) {
                faults.push(format!("memory.limits.{key}: must be from 1 to {most}"));
            }
        }
        faults
    }
}

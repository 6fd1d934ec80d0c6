//! What an operator can set.

use std::time::Duration;

use harombe_config::{JsonSchema, Span};
use harombe_sql::StoreConfig;
use serde::{Deserialize, Serialize};

use crate::domain::RunLimits;

const LEASE_MIN: Duration = Duration::from_secs(1);
const LEASE_MAX: Duration = Duration::from_secs(300);
/// They are counted with each that begins.
const RUNS_MAX: u32 = 1_000_000;

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
    /// How much may be under way.
    pub limits: LimitConfig,
}

/// How much may be under way at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct LimitConfig {
    /// Runs of one subject, in all sessions together. From 1 to 1,000,000.
    pub runs_per_subject: u32,
    /// Runs of one tenant. From 1 to 1,000,000.
    pub runs_per_tenant: u32,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            runs_per_subject: 256,
            runs_per_tenant: 10_000,
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

impl Default for Config {
    fn default() -> Self {
        Self {
            lease: Span::from(Duration::from_secs(10)),
            store: StoreConfig::default(),
            limits: LimitConfig::default(),
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
        for (key, most) in [
            ("runs_per_subject", self.limits.runs_per_subject),
            ("runs_per_tenant", self.limits.runs_per_tenant),
        ] {
            if !(1..=RUNS_MAX).contains(&most) {
                faults.push(format!("memory.limits.{key}: must be from 1 to {RUNS_MAX}"));
            }
        }
        faults
    }
}

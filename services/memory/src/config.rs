//! What an operator can set.

use std::time::Duration;

use harombe_config::{JsonSchema, Span};
use harombe_sql::StoreConfig;
use serde::{Deserialize, Serialize};

const LEASE_MIN: Duration = Duration::from_secs(1);
const LEASE_MAX: Duration = Duration::from_secs(300);

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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease: Span::from(Duration::from_secs(10)),
            store: StoreConfig::default(),
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
        faults
    }
}

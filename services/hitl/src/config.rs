//! What an operator can set.

use std::path::PathBuf;
use std::time::Duration;

use harombe_config::{JsonSchema, Size, Span};
use harombe_sql::StoreConfig;
use serde::{Deserialize, Serialize};

use crate::domain::risk::HostSet;
use crate::domain::{LimitPolicy, PendingLimits};

const MAX_TIME: Duration = Duration::from_secs(300);
const MAX_MEMORY: u64 = 8 << 30;
const MAX_CPU: u32 = 4000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// No run lasts longer: whoever waits for a decision hears of it before it is forgotten.
const SHORTEST_RETENTION: Duration = DAY;
const LONGEST_RETENTION: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);
/// They are counted with each new one.
const MAX_PENDING: u32 = 1_000_000;

/// Configuration of hitl; all of it has defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Files with risk rules that are added to those that ship. They can raise risks, not lower them.
    pub rules: Vec<PathBuf>,
    /// Hosts that `web_fetch` may read from unasked: `example.com`, or `*.example.com` for all below it.
    pub trusted_hosts: Vec<String>,
    /// Where requests, decisions and redemptions are kept.
    pub store: StoreConfig,
    /// The bounds that grants carry, and how many requests may wait.
    pub limits: LimitConfig,
    /// For how long a request is kept after its decision; what was asked and decided is in the audit log in any case. From
    /// "1d" to "36500d".
    pub retention: Span,
}

/// Bounds of what a granted call may use, and of what waits for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct LimitConfig {
    /// Time of a call that does not say.
    pub time: Span,
    /// The most time a call may ask for.
    pub max_time: Span,
    /// Memory of an execution that does not say.
    pub memory: Size,
    /// The most memory an execution may ask for.
    pub max_memory: Size,
    /// Thousandths of a CPU of an execution.
    pub cpu_millis: u32,
    /// Processes of an execution.
    pub processes: u32,
    /// Output of an execution.
    pub output: Size,
    /// Connections of a call to the web.
    pub connections: u32,
    /// Bytes of a call to the web, both ways.
    pub transfer: Size,
    /// Requests of one subject's runs that may wait for a decision at once. From 1 to 1,000,000.
    pub pending_per_subject: u32,
    /// Requests of one tenant that may wait for a decision at once. From 1 to 1,000,000.
    pub pending_per_tenant: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            trusted_hosts: Vec::new(),
            store: StoreConfig::default(),
            limits: LimitConfig::default(),
            retention: (90 * DAY).into(),
        }
    }
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30).into(),
            max_time: MAX_TIME.into(),
            memory: (512 << 20).into(),
            max_memory: MAX_MEMORY.into(),
            cpu_millis: 1000,
            processes: 128,
            output: (1 << 20).into(),
            connections: 4,
            transfer: (16 << 20).into(),
            pending_per_subject: 256,
            pending_per_tenant: 10_000,
        }
    }
}

impl Config {
    /// Every fault, each naming its key and what to do.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(bad) = HostSet::new(&self.trusted_hosts) {
            let bad = bad.join(", ");
            faults.push(format!(
                "hitl.trusted_hosts: not host names: {bad}; write \"example.com\" or \"*.example.com\", without scheme, port and path"
            ));
        }
        faults.extend(self.store.validate("hitl.store"));
        if !(SHORTEST_RETENTION..=LONGEST_RETENTION).contains(&self.retention.as_duration()) {
            faults
                .push("hitl.retention: must be from \"1d\" to \"36500d\"; the default is \"90d\"".to_owned());
        }
        let limits = &self.limits;
        let mut check = |good: bool, fault: &str| {
            if !good {
                faults.push(format!("hitl.limits.{fault}"));
            }
        };
        let second = Duration::from_secs(1);
        let (time, max_time) = (limits.time.as_duration(), limits.max_time.as_duration());
        check(
            (second..=MAX_TIME).contains(&max_time),
            "max_time: must be from \"1s\" to \"300s\"",
        );
        check(
            (second..=max_time).contains(&time),
            "time: must be from \"1s\" to max_time",
        );
        let (memory, max_memory) = (limits.memory.as_bytes(), limits.max_memory.as_bytes());
        // with less than these the broker would refuse what was granted
        let least = 32 << 20;
        check(
            (least..=MAX_MEMORY).contains(&max_memory),
            "max_memory: must be from \"32MiB\" to \"8GiB\"",
        );
        check(
            (least..=max_memory).contains(&memory),
            "memory: must be from \"32MiB\" to max_memory",
        );
        check(
            (100..=MAX_CPU).contains(&limits.cpu_millis),
            "cpu_millis: must be from 100 to 4000",
        );
        check(
            (8..=128).contains(&limits.processes),
            "processes: must be from 8 to 128",
        );
        check(
            (1..=1 << 30).contains(&limits.output.as_bytes()),
            "output: must be from \"1B\" to \"1GiB\"",
        );
        check(
            (1..=64).contains(&limits.connections),
            "connections: must be from 1 to 64",
        );
        check(
            (1..=1 << 30).contains(&limits.transfer.as_bytes()),
            "transfer: must be from \"1B\" to \"1GiB\"",
        );
        check(
            (1..=MAX_PENDING).contains(&limits.pending_per_subject),
            "pending_per_subject: must be from 1 to 1000000",
        );
        check(
            (1..=MAX_PENDING).contains(&limits.pending_per_tenant),
            "pending_per_tenant: must be from 1 to 1000000",
        );
        faults
    }
}

impl From<&LimitConfig> for LimitPolicy {
    fn from(config: &LimitConfig) -> Self {
        Self {
            time: config.time.as_duration(),
            max_time: config.max_time.as_duration(),
            memory_bytes: config.memory.as_bytes(),
            max_memory_bytes: config.max_memory.as_bytes(),
            cpu_millis: config.cpu_millis,
            processes: config.processes,
            output_bytes: config.output.as_bytes(),
            connections: config.connections,
            transfer_bytes: config.transfer.as_bytes(),
        }
    }
}

impl From<&LimitConfig> for PendingLimits {
    fn from(config: &LimitConfig) -> Self {
        Self {
            per_subject: config.pending_per_subject,
            per_tenant: config.pending_per_tenant,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_fault_and_every_fault_names_its_key() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        let mut config = Config {
            trusted_hosts: vec!["a b".to_owned()],
            retention: Duration::from_secs(60).into(),
            ..Config::default()
        };
        config.limits = LimitConfig {
            time: Duration::ZERO.into(),
            max_time: Duration::from_secs(301).into(),
            memory: 1.into(),
            max_memory: (1 << 40).into(),
            cpu_millis: 0,
            processes: 0,
            output: 0.into(),
            connections: 0,
            transfer: 0.into(),
            pending_per_subject: 0,
            pending_per_tenant: 1_000_001,
        };
        let faults = config.validate();
        assert_eq!(faults.len(), 13, "{faults:#?}");
        assert!(
            faults
                .iter()
                .all(|fault| fault.starts_with("hitl.") && fault.contains(": "))
        );
    }

    #[test]
    fn the_least_memory_and_processes_are_the_brokers() {
        let with = |memory: u64, processes: u32| {
            let mut config = Config::default();
            config.limits.memory = memory.into();
            config.limits.processes = processes;
            config.validate().len()
        };
        assert_eq!(with(32 << 20, 8), 0);
        assert_eq!(with((32 << 20) - 1, 7), 2);
    }
}

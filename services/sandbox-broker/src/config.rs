//! What an operator can set.

use std::path::PathBuf;
use std::time::Duration;

use harombe_config::{JsonSchema, Size, Span};
use serde::{Deserialize, Serialize};

use crate::domain::limits::{LimitRefused, Limits};

/// Configuration of the sandbox broker; all of it has defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The `runsc` to use. Without it: the one that the setup script installed, else the first on `PATH` that
    /// knows the platform `systrap`.
    pub runsc: Option<PathBuf>,
    /// How many sandboxes run at a time.
    pub sandboxes: usize,
    /// How many executions may wait for one of them.
    pub queue: usize,
    /// For how long each waits.
    pub patience: Span,
    /// How many uploads and downloads go on at a time.
    pub transfers: usize,
    /// How many of them are of one person.
    pub transfers_per_subject: usize,
    /// How many workspaces one person may have on this broker.
    pub workspaces_per_subject: usize,
    /// What an execution gets that asks for nothing.
    pub limits: LimitSettings,
    /// What an execution can get at most.
    pub maximum: LimitSettings,
}

/// See [`Limits`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Memory of the program and its temporary files.
    pub memory: Size,
    /// Processor time, in thousandths of a processor.
    pub cpu_millis: u32,
    /// Processes and threads at one time.
    pub processes: u32,
    /// Everything in a workspace together.
    pub workspace: Size,
    /// Standard output and standard error together.
    pub output: Size,
    /// From start to end.
    pub time: Span,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self::from(Limits::DEFAULT)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            runsc: None,
            sandboxes: 10,
            queue: 100,
            patience: Span::from(Duration::from_secs(30)),
            transfers: 32,
            transfers_per_subject: 8,
            workspaces_per_subject: 1000,
            limits: LimitSettings::from(Limits::DEFAULT),
            maximum: LimitSettings::from(Limits::MAXIMUM),
        }
    }
}

impl Config {
    /// Every fault, each naming its key and what to do.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (key, value, default) in [
            ("sandboxes", self.sandboxes, 10),
            ("transfers", self.transfers, 32),
            ("transfers_per_subject", self.transfers_per_subject, 8),
            ("workspaces_per_subject", self.workspaces_per_subject, 1000),
        ] {
            if value == 0 {
                faults.push(format!(
                    "sandbox-broker.{key}: must be at least 1; the default is {default}"
                ));
            }
        }
        if self.transfers_per_subject > self.transfers {
            faults.push("sandbox-broker.transfers_per_subject: must not be more than transfers".to_owned());
        }
        // A grant lives for 60 s (CONTRACTS §4): who waits longer waits for nothing.
        if !(Duration::from_secs(1)..=Duration::from_secs(50)).contains(&Duration::from(self.patience)) {
            faults.push(
                "sandbox-broker.patience: must be from \"1s\" to \"50s\"; the default is \"30s\"".to_owned(),
            );
        }
        let fault = |section: &str,
                     LimitRefused {
                         name,
                         least,
                         most,
                         asked,
                     }: LimitRefused| {
            format!("sandbox-broker.{section}.{name}: must be from {least} to {most}, not {asked}")
        };
        let maximum = Limits::from(&self.maximum);
        if let Err(refused) = maximum.within(Limits::MAXIMUM) {
            faults.push(fault("maximum", refused));
        }
        if let Err(refused) = Limits::from(&self.limits).within(maximum) {
            faults.push(fault("limits", refused));
        }
        faults
    }
}

impl From<Limits> for LimitSettings {
    fn from(limits: Limits) -> Self {
        Self {
            memory: Size::from(limits.memory),
            cpu_millis: limits.cpu_millis,
            processes: limits.processes,
            workspace: Size::from(limits.workspace),
            output: Size::from(limits.output),
            time: Span::from(limits.time()),
        }
    }
}

impl From<&LimitSettings> for Limits {
    fn from(settings: &LimitSettings) -> Self {
        Self {
            memory: settings.memory.into(),
            cpu_millis: settings.cpu_millis,
            processes: settings.processes,
            workspace: settings.workspace.into(),
            output: settings.output.into(),
            time_millis: u64::try_from(Duration::from(settings.time).as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let mut config = Config {
            sandboxes: 0,
            transfers: 0,
            patience: Span::from(Duration::from_secs(60)),
            ..Config::default()
        };
        config.limits.memory = Size::from(9 << 30);
        let faults = config.validate();
        assert_eq!(faults.len(), 5, "{faults:?}");
        assert!(
            faults
                .iter()
                .any(|fault| fault.starts_with("sandbox-broker.limits.memory"))
        );
    }
}

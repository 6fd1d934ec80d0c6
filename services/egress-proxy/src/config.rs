//! What an operator can set.

use std::path::PathBuf;
use std::time::Duration;

use harombe_config::Span;
use serde::{Deserialize, Serialize};

/// Most tunnels that any machine should carry at once.
const MAX_TUNNELS: usize = 10_000;
const MAX_CACHED_NAMES: usize = 1_000_000;
const MIN_EXCHANGE: Duration = Duration::from_secs(1);
const MAX_EXCHANGE: Duration = Duration::from_secs(600);

/// Configuration of the egress proxy. The policy itself is a file of its own, reviewed as such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The policy file; without one nothing may leave.
    pub policy: Option<PathBuf>,
    /// Tunnels open at once; the next caller is told to come back.
    pub max_tunnels: usize,
    /// Names whose addresses are remembered.
    pub cached_names: usize,
    /// Longest time for one exchange with a host outside.
    pub exchange_time: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: None,
            max_tunnels: 256,
            cached_names: 4096,
            exchange_time: Duration::from_secs(60).into(),
        }
    }
}

impl Config {
    /// Everything that is wrong with the values, each naming its key and what to write instead.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(1..=MAX_TUNNELS).contains(&self.max_tunnels) {
            faults.push(format!(
                "egress-proxy.max_tunnels must be from 1 to {MAX_TUNNELS}"
            ));
        }
        if self.cached_names > MAX_CACHED_NAMES {
            faults.push(format!(
                "egress-proxy.cached_names must be at most {MAX_CACHED_NAMES}"
            ));
        }
        let time = self.exchange_time.as_duration();
        if !(MIN_EXCHANGE..=MAX_EXCHANGE).contains(&time) {
            faults.push("egress-proxy.exchange_time must be from \"1s\" to \"10m\"".to_owned());
        }
        if self
            .policy
            .as_ref()
            .is_some_and(|path| path.as_os_str().is_empty())
        {
            faults.push("egress-proxy.policy must name a file, or be left out to deny everything".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_every_fault_is_named() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        let wrong = Config {
            policy: Some(PathBuf::new()),
            max_tunnels: 0,
            cached_names: usize::MAX,
            exchange_time: Duration::from_secs(3600).into(),
        };
        let faults = wrong.validate();
        for key in ["policy", "max_tunnels", "cached_names", "exchange_time"] {
            assert!(
                faults.iter().any(|fault| fault.contains(key)),
                "{key} in {faults:?}"
            );
        }
        assert_eq!(faults.len(), 4);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Config>("policy = \"/etc/egress.toml\"\nexchange_time = \"30s\"").is_ok());
        assert!(toml::from_str::<Config>("allow_private = true").is_err());
    }
}

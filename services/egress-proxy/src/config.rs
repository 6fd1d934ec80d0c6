//! What an operator can set.

mod upstream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use harombe_config::{JsonSchema, Span};
use serde::{Deserialize, Serialize};

pub use crate::domain::search::Search;
pub use upstream::{Injection, Upstream};

/// Most tunnels that any machine should carry at once.
const MAX_TUNNELS: usize = 10_000;
const MAX_CACHED_NAMES: usize = 1_000_000;
const MAX_UPSTREAMS: usize = 1000;
const MIN_EXCHANGE: Duration = Duration::from_secs(1);
const MAX_EXCHANGE: Duration = Duration::from_secs(600);

/// Configuration of the egress proxy. The policy itself is a file of its own, reviewed as such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The policy file; without one nothing may leave.
    pub policy: Option<PathBuf>,
    /// Tunnels open at once; the next caller is told to come back.
    pub max_tunnels: usize,
    /// Tunnels that services open for themselves, beside those: neither takes the other's places.
    pub max_own_tunnels: usize,
    /// Names whose addresses are remembered.
    pub cached_names: usize,
    /// Longest time for one exchange with a host outside.
    pub exchange_time: Span,
    /// Destinations that services may use by name, without a grant: models, and the search service.
    pub upstreams: BTreeMap<String, Upstream>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: None,
            max_tunnels: 256,
            max_own_tunnels: 64,
            cached_names: 4096,
            exchange_time: Duration::from_secs(60).into(),
            upstreams: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Is there an upstream that `web_search` can ask?
    #[must_use]
    pub fn search_configured(&self) -> bool {
        self.upstreams.values().any(|upstream| upstream.search.is_some())
    }

    /// Everything that is wrong with the values, each naming its key and what to write instead.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let tunnels = [
            ("max_tunnels", self.max_tunnels),
            ("max_own_tunnels", self.max_own_tunnels),
        ];
        for (key, most) in tunnels {
            if !(1..=MAX_TUNNELS).contains(&most) {
                faults.push(format!("egress-proxy.{key} must be from 1 to {MAX_TUNNELS}"));
            }
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
        faults.extend(self.validate_upstreams());
        faults
    }

    fn validate_upstreams(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.upstreams.len() > MAX_UPSTREAMS {
            faults.push(format!("egress-proxy.upstreams must be at most {MAX_UPSTREAMS}"));
        }
        for (name, upstream) in &self.upstreams {
            if !upstream::is_name(name) {
                faults.push(format!(
                    "egress-proxy.upstreams.{name:?} must be named with letters, digits, '-', '_' and '.'"
                ));
            }
            faults.extend(upstream.validate(&format!("egress-proxy.upstreams.{name}")));
        }
        let searching = self
            .upstreams
            .iter()
            .filter(|(_, upstream)| upstream.search.is_some());
        let searching: Vec<_> = searching.map(|(name, _)| name.as_str()).collect();
        if searching.len() > 1 {
            faults.push(format!(
                "egress-proxy.upstreams: one of {} may have search, not each",
                searching.join(", ")
            ));
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
            max_own_tunnels: MAX_TUNNELS + 1,
            cached_names: usize::MAX,
            exchange_time: Duration::from_secs(3600).into(),
            upstreams: BTreeMap::from([("a b".to_owned(), Upstream::new("https://a.test"))]),
        };
        let faults = wrong.validate();
        for key in [
            "policy",
            "max_tunnels",
            "max_own_tunnels",
            "cached_names",
            "exchange_time",
            "must be named",
            "services must name",
        ] {
            assert!(
                faults.iter().any(|fault| fault.contains(key)),
                "{key} in {faults:?}"
            );
        }
        assert_eq!(faults.len(), 7, "{faults:?}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Config>("policy = \"/etc/egress.toml\"\nexchange_time = \"30s\"").is_ok());
        assert!(toml::from_str::<Config>("allow_private = true").is_err());
    }

    #[test]
    fn one_upstream_may_search() {
        let text = |names: &[&str]| -> String {
            let section =
                |name| format!("[upstreams.{name}]\nurl = \"http://search.test\"\nsearch = \"searxng\"\n");
            names.iter().map(section).collect()
        };
        let read = |text: String| toml::from_str::<Config>(&text).expect("a configuration");
        assert!(!Config::default().search_configured());
        let one = read(text(&["a"]));
        assert!(
            one.search_configured() && one.validate().is_empty(),
            "{:?}",
            one.validate()
        );
        let two = read(text(&["a", "b"])).validate();
        assert!(
            two.len() == 1 && two.iter().all(|fault| fault.contains("a, b")),
            "{two:?}"
        );
    }
}

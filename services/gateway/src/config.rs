//! What an operator may set.

mod limits;
mod public;

use std::time::Duration;

use harombe_config::{JsonSchema, Span};
use harombe_sql::StoreConfig;
use harombe_types::{Subject, Tenant};
use serde::{Deserialize, Serialize};

pub use limits::Limits;
pub use public::Public;

const SHORTEST_WALL: Duration = Duration::from_secs(1);
const LONGEST_WALL: Duration = Duration::from_secs(24 * 60 * 60);

/// Settings of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a run may take from its message to its answer, waiting for people included: its token ends then.
    pub wall_limit: Span,
    /// The name under which the owner of the socket acts, and the bearer of the first key; what belongs to them is kept
    /// under it. Without one: the name that the composition knows for the owner.
    pub person: Option<String>,
    /// The operator's tenant: that of the owner of the socket and of the first key. Its admins may make keys for others.
    pub tenant: String,
    /// The door on the network.
    pub public: Public,
    /// How much of it one caller may use.
    pub limits: Limits,
    /// Where keys are kept; gateways that share a Postgres schema share them.
    pub store: StoreConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            wall_limit: Span::from(Duration::from_secs(15 * 60)),
            person: None,
            tenant: "local".to_owned(),
            public: Public::default(),
            limits: Limits::default(),
            store: StoreConfig::default(),
        }
    }
}

impl Config {
    /// Everything that is wrong, each naming its key and what to do.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(SHORTEST_WALL..=LONGEST_WALL).contains(&Duration::from(self.wall_limit)) {
            faults.push(
                "gateway.wall_limit: must be from \"1s\" to \"24h\"; the default is \"15m\"".to_owned(),
            );
        }
        if let Some(Err(error)) = self.person.as_deref().map(str::parse::<Subject>) {
            faults.push(format!("gateway.person: {error}; the default is the login name"));
        }
        if let Err(error) = self.tenant.parse::<Tenant>() {
            faults.push(format!("gateway.tenant: {error}; the default is \"local\""));
        }
        self.public.validate(&mut faults);
        self.limits.validate(&mut faults);
        faults.extend(self.store.validate("gateway.store"));
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_every_fault_names_its_key() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        let wrong = Config {
            wall_limit: Span::from(Duration::ZERO),
            person: Some("a b".to_owned()),
            tenant: String::new(),
            public: Public {
                listen: "0.0.0.0:7400".parse().ok(),
                allowed_origins: vec!["*".to_owned()],
                ..Public::default()
            },
            limits: Limits {
                streams: 0,
                ..Limits::default()
            },
            store: StoreConfig {
                postgres: Some(harombe_sql::PostgresConfig::default()),
            },
        };
        let faults = wrong.validate();
        let keys: Vec<_> = faults
            .iter()
            .map(|fault| fault.split(':').next().unwrap())
            .collect();
        assert_eq!(
            keys,
            [
                "gateway.wall_limit",
                "gateway.person",
                "gateway.tenant",
                "gateway.public.listen",
                "gateway.public.allowed_origins",
                "gateway.limits.streams",
                "gateway.store.postgres.url",
            ]
        );
    }
}

//! What an operator may set.

use std::time::Duration;

use harombe_config::Span;
use harombe_types::Subject;
use serde::{Deserialize, Serialize};

const SHORTEST_WALL: Duration = Duration::from_secs(1);
const LONGEST_WALL: Duration = Duration::from_secs(24 * 60 * 60);

/// Settings of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a run may take from its message to its answer, waiting for people included: its token ends then.
    pub wall_limit: Span,
    /// The name under which the owner of the socket acts in the embedded profile; what belongs to them is kept under it.
    /// Without one: the name that the composition knows for the owner.
    pub person: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            wall_limit: Span::from(Duration::from_secs(15 * 60)),
            person: None,
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
        };
        let faults = wrong.validate();
        assert_eq!(faults.len(), 2);
        assert!(faults[0].starts_with("gateway.wall_limit") && faults[1].starts_with("gateway.person"));
    }
}

//! What an operator can set. Everything has a default.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harombe_config::{JsonSchema, Size, Span};
use harombe_sql::StoreConfig;
use serde::{Deserialize, Serialize};

use crate::store::Place;

/// The services' own largest details must fit, with room: hitl records calls of up to 64 KiB and what was decided about
/// them. An event that is not taken is an act that is refused.
const MIN_DETAILS: u64 = 128 << 10;

/// Configuration of the audit service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Largest details of one event, before redaction.
    pub max_details: Size,
    /// Entries that may wait for one service and tenant together, each KiB of large details counting as one more; what is
    /// more makes that caller wait.
    pub queue_per_caller: usize,
    /// Entries that may wait in all; whoever has none waiting is let in even so.
    pub queue_total: usize,
    /// How often the query index takes in what is new.
    pub index_every: Span,
    /// How often the newest checkpoint is written to its file, at most.
    pub publish_every: Span,
    /// Where the log is kept.
    pub store: StoreConfig,
    /// The file of the log's signing key; none: `keys/signer.key` in the service's directory. Instances that share a log
    /// share this key, and one that has another refuses to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<PathBuf>,
    /// The file of the key that wraps the data keys of a log on Postgres; none: `keys/wrapping.key` in the service's
    /// directory. Shared as the signing key is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrapping_key: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_details: Size::from(256 << 10),
            queue_per_caller: 1024,
            queue_total: 4096,
            index_every: Span::from(Duration::from_millis(500)),
            publish_every: Span::from(Duration::from_millis(500)),
            store: StoreConfig::default(),
            signing_key: None,
            wrapping_key: None,
        }
    }
}

impl Config {
    /// Every fault, each with the key and what to do.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        let (details, millis) = (self.max_details.as_bytes(), |span: Span| {
            span.as_duration().as_millis()
        });
        check(
            (MIN_DETAILS..=1 << 20).contains(&details),
            "audit.max_details: must be between 128KiB and 1MiB",
        );
        check(
            (1..=100_000).contains(&self.queue_per_caller),
            "audit.queue_per_caller: must be between 1 and 100000",
        );
        check(
            (self.queue_per_caller..=1_000_000).contains(&self.queue_total),
            "audit.queue_total: must be between audit.queue_per_caller and 1000000",
        );
        check(
            (10..=60_000).contains(&millis(self.index_every)),
            "audit.index_every: must be between 10ms and 1m",
        );
        check(
            (10..=60_000).contains(&millis(self.publish_every)),
            "audit.publish_every: must be between 10ms and 1m",
        );
        check(
            self.wrapping_key.is_none() || self.store.postgres.is_some(),
            "audit.wrapping_key: is for a log on Postgres; remove it, or set audit.store.postgres",
        );
        faults.extend(self.store.validate("audit.store"));
        faults
    }

    /// Where the log of a service with this directory is.
    pub(crate) fn place(&self, directory: &Path) -> Place {
        let mut place = Place::new(directory.to_owned(), self.store.clone());
        if let Some(path) = &self.signing_key {
            place.signing_key.clone_from(path);
        }
        if let Some(path) = &self.wrapping_key {
            place.wrapping_key.clone_from(path);
        }
        place
    }

    pub(crate) fn max_details_bytes(&self) -> usize {
        usize::try_from(self.max_details.as_bytes()).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_every_fault_is_told() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        let bad = Config {
            max_details: Size::from(0),
            queue_per_caller: 0,
            queue_total: 2_000_000,
            index_every: Span::from(Duration::ZERO),
            publish_every: Span::from(Duration::from_secs(3600)),
            wrapping_key: Some("/keys/wrapping".into()),
            ..Config::default()
        };
        assert_eq!(bad.validate().len(), 6);
        for (key, fault) in [
            "max_details",
            "queue_per_caller",
            "queue_total",
            "index_every",
            "publish_every",
            "wrapping_key",
        ]
        .iter()
        .zip(bad.validate())
        {
            assert!(fault.starts_with(&format!("audit.{key}: ")), "{fault}");
        }
    }

    #[test]
    fn details_that_services_send_always_fit() {
        let faults = |bytes| {
            let config = Config {
                max_details: Size::from(bytes),
                ..Config::default()
            };
            config.validate().len()
        };
        assert_eq!((faults((128 << 10) - 1), faults(128 << 10)), (1, 0));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"max_detials": "1KiB"}"#).is_err());
        let config: Config = serde_json::from_str(r#"{"index_every": "2s"}"#).unwrap();
        assert_eq!(config.index_every.as_duration(), Duration::from_secs(2));
    }
}

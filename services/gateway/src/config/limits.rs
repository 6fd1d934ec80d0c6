//! How much one key may use where it does not say itself, and how many failed logins one address may have.

use harombe_config::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most that any of these numbers may be.
const MOST: u32 = 1_000_000;

/// `[gateway.limits]`. All but those of a day count at each gateway by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests of one key.
    pub requests_per_second: u32,
    /// Requests of one key that may come at once.
    pub burst: u32,
    /// Streams of one key that are open at the same time.
    pub streams: u32,
    /// Calls of one key that are under way at the same time; a stream counts until its answer begins.
    pub calls: u32,
    /// Uploads and downloads of one key that are under way at the same time; each is one of its streams too.
    pub transfers: u32,
    /// New messages of one key from midnight to midnight UTC; 0 sets no limit.
    pub messages_per_day: u32,
    /// Sessions that one key may begin from midnight to midnight UTC; 0 sets no limit.
    pub sessions_per_day: u32,
    /// Failed logins from one address (of IPv6: one /64) in a minute; then they are told to wait.
    pub failed_logins_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 500,
            burst: 1000,
            streams: 512,
            calls: 256,
            transfers: 8,
            messages_per_day: 0,
            sessions_per_day: 100_000,
            failed_logins_per_minute: 30,
        }
    }
}

impl Limits {
    pub(super) fn validate(&self, faults: &mut Vec<String>) {
        for (key, value) in [
            ("requests_per_second", self.requests_per_second),
            ("burst", self.burst),
            ("streams", self.streams),
            ("calls", self.calls),
            ("transfers", self.transfers),
            ("failed_logins_per_minute", self.failed_logins_per_minute),
        ] {
            if !(1..=MOST).contains(&value) {
                faults.push(format!("gateway.limits.{key}: must be from 1 to {MOST}"));
            }
        }
        for (key, value) in [
            ("messages_per_day", self.messages_per_day),
            ("sessions_per_day", self.sessions_per_day),
        ] {
            if value > MOST {
                faults.push(format!(
                    "gateway.limits.{key}: must be at most {MOST}; 0 sets no limit"
                ));
            }
        }
    }
}

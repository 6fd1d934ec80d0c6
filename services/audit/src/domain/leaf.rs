//! Leaf v1 (CONTRACTS §5): the canonical JSON that is hashed into the tree and stored as it is.

use harombe_tlog::{Hash, leaf_hash};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The version that this program writes.
pub(crate) const LEAF_VERSION: u8 = 1;

/// One entry of the log. A text that does not apply is empty; every member is always there. The fields stand in
/// canonical order, so that encoding need not sort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    pub agent: String,
    pub approval: String,
    pub call: String,
    /// `runtime` when the event is no more than that service's word, empty otherwise.
    pub claimed_by: String,
    /// SHA-256 over the sealed details in lower case hexadecimal; empty when the event has none.
    pub details_hash: String,
    pub event_id: String,
    pub instance: String,
    pub instance_seq: u64,
    pub kind: String,
    /// 16 random bytes in hexadecimal, so that a leaf cannot be guessed from its hash.
    pub nonce: String,
    pub outcome: String,
    pub policy_version: String,
    pub principal: String,
    pub run: String,
    /// Who wrote the event, from its certificate.
    pub service: String,
    pub session: String,
    pub tenant: String,
    /// Counts the entries of the tenant from 1.
    pub tenant_seq: u64,
    /// RFC 3339 in UTC with milliseconds.
    pub time: String,
    pub v: u8,
}

impl Leaf {
    /// The bytes that are hashed.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        harombe_canonical::to_vec(self).map_err(Error::Leaf)
    }

    /// Reads a stored leaf; the log's own writing, so the bytes are not checked for being canonical here.
    pub fn decode(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// The hash under which the tree knows these leaf bytes.
    pub fn hash(body: &[u8]) -> Hash {
        leaf_hash(body)
    }

    /// The event's time in milliseconds since the epoch.
    pub fn millis(&self) -> Option<i64> {
        millis_of(&self.time)
    }
}

/// Milliseconds since the epoch of a leaf's `time`.
pub fn millis_of(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_stand_in_canonical_order() {
        let text = |name: &str| name.to_owned();
        let leaf = Leaf {
            agent: text("default"),
            approval: text(""),
            call: text("c"),
            claimed_by: text("runtime"),
            details_hash: text(""),
            event_id: text("e"),
            instance: text("i"),
            instance_seq: 7,
            kind: text("run.started"),
            nonce: text("00"),
            outcome: text("ok \"quoted\"\n"),
            policy_version: text(""),
            principal: text("person:ä"),
            run: text("r"),
            service: text("runtime"),
            session: text("s"),
            tenant: text("t"),
            tenant_seq: 9,
            time: text("2026-11-23T00:00:00.000Z"),
            v: LEAF_VERSION,
        };
        let body = leaf.encode().unwrap();
        assert_eq!(body, serde_json::to_vec(&leaf).unwrap(), "declared out of order");
        assert!(harombe_canonical::parse_canonical(&body).is_ok());
        assert_eq!(Leaf::decode(&body).unwrap(), leaf);
        assert_eq!(leaf.millis(), Some(1_795_392_000_000));
    }
}

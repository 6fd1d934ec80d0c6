//! Ids: UUIDv7 in lower-case hyphenated form, one type for each thing, so that no two can be mixed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Clock;

/// A text that is not a lower-case hyphenated UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be a lower-case hyphenated UUID, got {given:?}")]
pub struct InvalidId {
    pub what: &'static str,
    /// At most the first 64 characters.
    pub given: String,
}

impl InvalidId {
    fn new(what: &'static str, given: &str) -> Self {
        Self {
            what,
            given: given.chars().take(64).collect(),
        }
    }
}

fn new_v7(clock: &dyn Clock) -> Uuid {
    let millis = u64::try_from(clock.now().as_millis()).unwrap_or(0);
    let subsec = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, subsec))
}

/// Only the one spelling is accepted: ids are compared and hashed as text.
fn parse(what: &'static str, text: &str) -> Result<Uuid, InvalidId> {
    match Uuid::try_parse(text) {
        Ok(id) if id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text => Ok(id),
        _ => Err(InvalidId::new(what, text)),
    }
}

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// A new id whose time part is the clock's.
            #[must_use]
            pub fn generate(clock: &dyn Clock) -> Self {
                Self(new_v7(clock))
            }

            #[must_use]
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.as_hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse($what, text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }
    )*};
}

id! {
    /// A session: one conversation and its workspace.
    SessionId, "session id";
    /// A run: what one message sets off.
    RunId, "run id";
    /// One tool call of a run.
    CallId, "call id";
    /// A request for a person's decision.
    ApprovalId, "approval id";
    /// An audit event.
    EventId, "event id";
    /// A grant (`jti`).
    GrantId, "grant id";
    /// What a redeemed grant becomes.
    LeaseId, "lease id";
    /// A process of a service, new at each start.
    InstanceId, "instance id";
    /// Something that is remembered of a person.
    MemoryId, "memory id";
}

/// A workspace and the broker instance that holds it: `<broker instance>.<uuid>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspaceId {
    /// The broker's durable identity, not that of one process.
    pub broker: InstanceId,
    pub id: Uuid,
}

impl WorkspaceId {
    #[must_use]
    pub fn generate(broker: InstanceId, clock: &dyn Clock) -> Self {
        Self {
            broker,
            id: new_v7(clock),
        }
    }
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.broker, self.id.as_hyphenated())
    }
}

impl FromStr for WorkspaceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (broker, id) = text
            .split_once('.')
            .ok_or_else(|| InvalidId::new("workspace id", text))?;
        Ok(Self {
            broker: broker.parse()?,
            id: parse("workspace id", id)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SystemClock, Timestamp};

    #[test]
    fn an_id_reads_back_what_it_wrote() {
        let id = RunId::generate(&SystemClock);
        assert_eq!(id.to_string().parse::<RunId>(), Ok(id));
        let workspace = WorkspaceId::generate(InstanceId::generate(&SystemClock), &SystemClock);
        assert_eq!(workspace.to_string().parse::<WorkspaceId>(), Ok(workspace));
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "x",
            "01890A5D-AC96-774B-BCCE-B302099A8057",
            "01890a5dac96774bbcceb302099a8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057",
            " 01890a5d-ac96-774b-bcce-b302099a8057",
        ] {
            assert!(text.parse::<CallId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_time_part_is_the_clocks() {
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_123));
        let id = SessionId::generate(&clock);
        let (secs, nanos) = id
            .as_uuid()
            .get_timestamp()
            .map(|t| t.to_unix())
            .unwrap_or_default();
        assert_eq!((secs, nanos), (1_700_000_000, 123_000_000));
    }
}

//! Black-box tests of retrieval: what it finds, and what it survives.

mod priors;
mod quality;
mod robust;

use harombe_retrieval::{Item, Kind};
use uuid::Uuid;

pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn turn(number: u32, session: u32, speaker: &str, text: &str) -> Item {
    Item {
        id: id(number),
        text: text.to_owned(),
        speaker: speaker.to_owned(),
        session: Some(Uuid::from_u128(u128::from(session))),
        ordinal: number,
        time_ms: 0,
        kind: Kind::Turn,
        label: 1,
        agent: "default".to_owned(),
        importance: 0.5,
        superseded: false,
    }
}

pub(crate) fn id(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

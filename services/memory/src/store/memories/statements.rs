//! Statements on memories, the same on each database: this file and those beside it are compiled once for each adapter, which
//! says around them what its connection is and how a list is written.

mod collecting;
mod consolidating;
mod derived;
mod forgetting;
mod outbox;
mod owners;
mod person;
mod reading;
mod saving;
mod steps;
mod summaries;
mod unshown;

pub(in crate::store) use collecting::{remember, said_in, unremembered};
pub(in crate::store) use consolidating::{alike, behind, consolidate, count_behind, put_off, turns};
pub(in crate::store) use forgetting::{change, due_erasures, erase, erase_session};
pub(in crate::store) use outbox::{finished, works};
pub(in crate::store) use person::{belongings, erase_person};
pub(in crate::store) use reading::{
    all_after, at_points, best_of, changed_since, list, memory, revision, stats, stored,
};
pub(in crate::store) use saving::{recorded, save_asked};
pub(in crate::store) use steps::{set_aside, steps_of, take_up_again, unrecorded};
pub(in crate::store) use summaries::{put_summary, reach, take_work, told};
pub(in crate::store) use unshown::summaries_of_unshown;

use super::{Connection, no_new_generation, take_turn};
use crate::store::memories::Outbox;
use crate::store::{Unit, refuse};

/// What is read of a memory.
macro_rules! columns {
    () => {
        "m.seq, m.memory_id, m.point, m.rev, m.kind, m.label, m.text, m.speaker, m.time_ms, m.valid_to_ms, \
         m.superseded_by, m.agent, m.session, m.run, m.ordinal, m.importance, m.saved_ms, m.event, \
         m.audit_index, m.hidden_ms, m.hidden_by, m.erase_ms"
    };
}
use columns;

/// Bytes as a list that a statement can be given.
fn listed<'b>(bytes: impl IntoIterator<Item = &'b [u8]>) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let words: Vec<String> = bytes.into_iter().map(hex).collect();
    serde_json::json!(words).to_string()
}

/// How many of each tenant's, so that as many as `limit` come together.
fn share(tenants: usize, limit: u32) -> i64 {
    let tenants = u32::try_from(tenants).unwrap_or(u32::MAX).max(1);
    i64::from(limit.div_ceil(tenants))
}

/// The first of each lane, then the second of each, and so on.
fn in_turn<T>(lanes: Vec<Vec<T>>, limit: u32) -> Vec<T> {
    let mut lanes: Vec<_> = lanes.into_iter().map(Vec::into_iter).collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut turn = Vec::new();
    while turn.len() < limit {
        let before = turn.len();
        turn.extend(lanes.iter_mut().filter_map(Iterator::next));
        if turn.len() == before {
            break;
        }
    }
    turn.truncate(limit);
    turn
}

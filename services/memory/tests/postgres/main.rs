//! The same black-box tests over Postgres, and what only Postgres has: several processes, and a server that goes away.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests end the test when the service surprises them"
)]

#[path = "../it/claimed.rs"]
mod claimed;
mod consolidating;
#[path = "../it/consolidation.rs"]
mod consolidation;
#[path = "../it/conversations.rs"]
mod conversations;
#[path = "../it/deleting.rs"]
mod deleting;
#[path = "../it/erasing.rs"]
mod erasing;
mod faults;
#[path = "../it/forgetting.rs"]
mod forgetting;
#[path = "../it/imports.rs"]
mod imports;
#[path = "../it/journal.rs"]
mod journal;
#[path = "../it/leases.rs"]
mod leases;
#[path = "../it/limits.rs"]
mod limits;
#[path = "../it/memories.rs"]
mod memories;
#[path = "../it/numbers.rs"]
mod numbers;
#[path = "../it/person.rs"]
mod person;
mod replicas;
#[path = "../it/rig.rs"]
mod rig;
#[path = "../it/summaries.rs"]
mod summaries;
#[path = "../it/turns.rs"]
mod turns;
#[path = "../it/unrecorded.rs"]
mod unrecorded;
mod vectors;

use rig::Backend;

/// Where the tests of this program keep their state.
const BACKEND: Backend = Backend::Postgres;

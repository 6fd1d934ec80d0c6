//! Black-box tests of the memory service, through the in-process channel.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests end the test when the service surprises them"
)]

mod claimed;
mod consolidation;
mod conversations;
mod deleting;
mod disk;
mod erasing;
mod faults;
mod forgetting;
mod imports;
mod journal;
mod killed;
mod leases;
mod limits;
mod memories;
mod numbers;
mod outside;
mod person;
mod recall;
mod rig;
mod summaries;
mod turns;
mod unrecorded;

use rig::Backend;

/// Where the tests of this program keep their state.
const BACKEND: Backend = Backend::Sqlite;

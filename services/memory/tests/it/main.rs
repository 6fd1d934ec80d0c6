//! Black-box tests of the memory service, through the in-process channel.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests end the test when the service surprises them"
)]

mod claimed;
mod conversations;
mod disk;
mod faults;
mod journal;
mod leases;
mod limits;
mod numbers;
mod rig;

use rig::Backend;

/// Where the tests of this program keep their state.
const BACKEND: Backend = Backend::Sqlite;

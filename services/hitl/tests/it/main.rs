//! hitl as its callers see it, through the in-process channel.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test they help"
)]

mod authorize;
mod decide;
mod disk;
mod erasing;
mod faults;
mod list;
mod numbers;
mod pending;
mod postgres;
mod redeem;
mod replicas;
mod retention;
mod world;

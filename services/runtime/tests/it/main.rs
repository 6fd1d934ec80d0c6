//! The service through its own interface, with small stand-ins for its peers that keep their contracts.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod calls;
mod drain;
mod egress;
mod hitl;
mod leases;
mod memory;
mod messages;
mod metrics;
mod models;
mod outside;
mod personal;
mod provider;
mod record;
mod remembered;
mod resume;
mod sandbox;
mod summaries;
mod world;

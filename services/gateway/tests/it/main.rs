//! The gateway from outside, with the real memory behind it. Runtime, hitl and audit's reads are small stand-ins: what
//! they do is theirs to test, here it matters what reaches them and what comes back.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod disk;
mod door;
mod doubles;
mod files;
mod first_key;
mod flaky;
mod follow;
mod forwarding;
mod keys;
mod limits;
mod memories;
mod network;
mod openai;
mod pair;
mod people;
mod postgres;
mod runs;
mod sessions;
mod tenants;
mod walk;
mod web;
mod world;

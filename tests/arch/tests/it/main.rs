//! What the tree must look like: who may call whom, which room may use what, what must be documented.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod contracts;
mod crates;
mod pages;
mod rooms;
mod tree;

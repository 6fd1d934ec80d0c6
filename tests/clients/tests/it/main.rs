//! Clients that others wrote, unmodified, and the snippets of docs/api.md.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

mod programs;
mod snippets;
mod strangers;

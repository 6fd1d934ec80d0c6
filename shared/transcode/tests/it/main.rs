//! REST in front of services that are real on the wire and play their part in memory.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod document;
mod files;
mod hostile;
mod requests;
mod streams;
mod toy;

//! The crate from outside: the contract of both adapters, and each of them in trouble.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod edge;
mod killed;
mod qdrant;

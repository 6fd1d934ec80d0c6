//! Runs programs that nobody trusts: each in a gVisor sandbox of its own, over its session's workspace,
//! without a network, within limits, and only while the isolation has been proven from inside.
//!
//! Reading order: [`domain`] (what may run and how a run ends), `authority` (who permits it), `broker` (the order in
//! which things happen), [`gvisor`] (how a sandbox is made), [`workspace`] (its files), `grpc` (who may ask).

mod authority;
mod broker;
mod config;
pub mod domain;
mod error;
mod grpc;
mod guest;
pub mod gvisor;
mod hitl;
mod isolation;
mod metrics;
mod service;
mod sessions;
mod tasks;
pub mod workspace;

pub use config::{Config, LimitSettings};
pub use error::Error;
pub use isolation::{NotIsolated, find_runsc, prove};
pub use service::{BuildError, Deps, Service, build};

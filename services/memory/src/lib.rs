//! The memory service: what was said in a session, and how far each run has come.
//!
//! It is the one place where a run's progress is durable, so that a runtime may die at any moment: a turn begins
//! and ends in one transaction each, and every write of a run's driver names the epoch of its lease.

mod config;
mod domain;
mod error;
mod grpc;
mod metrics;
mod peers;
mod service;
mod store;
mod tasks;

pub use config::{Config, ConsolidationConfig, EmbeddingConfig, LimitConfig, RecallConfig, UpstreamConfig};
pub use domain::Whose;
pub use error::Error;
pub use service::{BuildError, Deps, Service, build};

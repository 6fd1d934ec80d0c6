//! The policy decision point: it rates the risk of every tool call, asks people, and is alone in granting.
//!
//! Reading order: `domain/risk` (what a call may do), `domain/authorize`, `decide`, `deliver`, `redeem` (what happens
//! to it), `domain/sweep` (what happens without anybody asking), then storage, transport and the wiring.

mod config;
pub mod domain;
mod error;
mod grpc;
mod metrics;
mod service;
mod store;
mod tasks;

pub use config::{Config, LimitConfig};
pub use domain::risk;
pub use error::Error;
pub use service::{BuildError, Deps, Service, build};

//! The append-only, tamper-evident log: what was asked, decided and done, written so that nobody can change it unseen.
//!
//! Reading order: [`domain`] (what an entry is), `store` (how it is kept), `log` (what can be done with it), `grpc` (who
//! may ask), and [`verify`] (how anybody can check it from the files alone).

mod config;
pub mod domain;
mod error;
pub mod files;
#[cfg(test)]
mod fixture;
mod grpc;
mod log;
mod metrics;
mod service;
mod store;
mod tasks;
pub mod verify;

pub use config::Config;
pub use error::Error;
pub use harombe_tlog::VerifyingKey;
pub use service::{BuildError, Deps, Service, build};

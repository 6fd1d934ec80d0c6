//! The gateway: the only door that people and their programs come through.
//!
//! It establishes who is calling, says so to the other services in tokens that only it can sign, and passes calls on. It
//! decides nothing about runs, and keeps only the keys by which people come: what a person may see is decided where the
//! data is.

mod config;
mod domain;
mod door;
mod error;
mod grpc;
mod http;
mod metrics;
mod openai;
mod peers;
mod service;
mod store;
mod tasks;

pub use config::{Config, Limits, Public};
pub use error::Error;
pub use http::PublicDoor;
pub use service::{BuildError, Deps, Service, build};

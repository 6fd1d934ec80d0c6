//! The gateway: the only door that people and their programs come through.
//!
//! It establishes who is calling, says so to the other services in tokens that only it can sign, and passes calls on. It
//! decides nothing about runs and keeps no state: what a person may see is decided where the data is.

mod config;
mod domain;
mod door;
mod error;
mod grpc;
mod peers;
mod service;

pub use config::Config;
pub use door::SocketOwner;
pub use error::Error;
pub use service::{BuildError, Deps, Service, build};

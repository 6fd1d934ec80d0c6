//! The only way out: decides what may leave by the operator's policy, resolves and checks every address
//! itself, and performs the request so that nobody else needs a network.
//!
//! ```text
//! grpc → tunnel (grant, redemption, record) → domain (parse, allowlist, method and path, addresses)
//!               └→ fetch (HTTP/1.1 over verified TLS) → net (resolver, dialler, roots)
//! ```
//!
//! Invariants: what no rule names is denied; a name that no rule names is never resolved; only an address that
//! was checked can be dialled; nothing is dialled before its decision is in the audit log.

pub mod config;
pub mod domain;
mod error;
pub mod fetch;
mod grpc;
pub mod net;
mod service;
mod tunnel;

pub use config::Config;
pub use error::Error;
pub use service::{BuildError, Deps, Edges, Service, build, load_policy};

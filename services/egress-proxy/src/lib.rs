//! The only way out: decides what may leave by the operator's policy, resolves and checks every address
//! itself, and performs the request so that nobody else needs a network.
//!
//! ```text
//! grpc → tunnel (grant, redemption, record) → domain (parse, allowlist, method and path, addresses)
//!               ├→ fetch (HTTP/1.1 over verified TLS) → net (resolver, dialler, roots)
//!               └→ upstream (credential, streaming)   → net (pooled connections)
//! ```
//!
//! Models and the search service are upstreams: destinations that only the operator names, asked with a credential that no
//! caller sees.
//!
//! Invariants: what no rule names is denied; a name that no rule names is never resolved; only an address that
//! was checked can be dialled; nothing is dialled before its decision is in the audit log.

pub mod config;
pub mod domain;
mod error;
pub mod fetch;
mod grpc;
mod metrics;
pub mod net;
mod service;
mod tunnel;
mod upstream;

pub use config::Config;
pub use error::Error;
pub use service::{BuildError, Deps, Edges, Service, build, load_policy};
pub use upstream::UpstreamError;

//! Who a service is and for whom it acts: the service CA and its certificates, and tokens signed with them.

mod authority;
mod cache;
mod error;
mod files;
pub mod jws;
mod roots;
mod service;
mod token;

pub use authority::CertificateAuthority;
pub use error::Error;
pub use roots::TrustRoots;
pub use service::ServiceIdentity;
pub use token::{PERSON_LIFETIME, RUN_AUDIENCES, Token, TokenMinter, TokenVerifier};

/// The DNS name in a service's certificate, for TLS stacks that check names and not SPIFFE ids.
#[must_use]
pub fn dns_name(service: harombe_types::ServiceName) -> String {
    format!("{service}.harombe.internal")
}

//! The wire: decode, ask the domain, encode.

mod approvals;
mod authorizations;
mod convert;

pub(crate) use approvals::Approvals;
pub(crate) use authorizations::Authorizations;

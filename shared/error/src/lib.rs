//! How a failure crosses the wire: a short list of codes, a closed list of reasons, and the only place that makes a status.

mod code;
mod failure;
mod reason;
mod status;

pub use code::Code;
pub use failure::Failure;
pub use reason::Reason;
pub use status::{ServiceError, to_status};

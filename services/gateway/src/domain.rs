//! The gateway's few rules, in plain types.

pub(crate) mod message;
pub(crate) mod owner;
pub(crate) mod upload;

//! The gateway's few rules, in plain types.

pub(crate) mod erasure;
pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod logins;
pub(crate) mod message;
pub(crate) mod owner;
pub(crate) mod quota;
pub(crate) mod secret;
pub(crate) mod upload;
pub(crate) mod uses;

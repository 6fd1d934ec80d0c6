//! The adapters that touch the network: resolving, dialling and the roots of trust.

pub mod cache;
pub mod dialer;
pub mod roots;
pub mod system_resolver;
pub mod upstream;

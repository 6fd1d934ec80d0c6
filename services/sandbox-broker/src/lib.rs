//! Runs programs that nobody trusts: each in a gVisor sandbox of its own, over its session's workspace,
//! without a network, within limits, and only while the isolation has been proven from inside.

pub mod domain;
mod guest;
pub mod gvisor;
pub mod workspace;

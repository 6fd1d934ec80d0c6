//! The only way out: decides what may leave by the operator's policy, resolves and checks every address
//! itself, and performs the request so that nobody else needs a network.

pub mod domain;
pub mod fetch;
pub mod net;

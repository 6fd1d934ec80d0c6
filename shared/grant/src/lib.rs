//! The signed permission for exactly one act: hitl makes it, the service that performs the act believes nothing else.
//!
//! A *grant* names the call by its digest and is spent once, at hitl; what comes back is a *lease*, bound to the service
//! that spent it: how long, how many connections and bytes, which destinations (CONTRACTS §4).

mod error;
mod grant;
mod lease;
mod sealed;
mod signer;
mod verifier;

use harombe_types::ServiceName;

pub use error::Error;
pub use grant::{Grant, Limits, check_call};
pub use lease::Lease;
pub use signer::Signer;
pub use verifier::Verifier;

/// The service that performs calls of this tool under a grant (CONTRACTS §4); `None` for a tool that nobody performs
/// so.
#[must_use]
pub fn audience_for(tool: &str) -> Option<ServiceName> {
    match tool {
        "code_execute" | "file_read" | "file_write" | "file_list" => Some(ServiceName::SandboxBroker),
        "web_fetch" | "web_search" => Some(ServiceName::EgressProxy),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

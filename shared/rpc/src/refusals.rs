//! Where refused calls are told, so that they leave a record.

use harombe_error::Reason;
use harombe_types::ServiceName;

/// Hears of every call that the authorisation layer refused. Must not block: it runs on the call's path.
pub trait Refusals: Send + Sync {
    /// `caller` is `None` when nobody could be established; `method` is the gRPC path.
    fn refused(&self, caller: Option<ServiceName>, method: &str, reason: Reason);
}

/// Writes refusals to the log only; for tests and for services without an audit trail.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRefusals;

impl Refusals for LogRefusals {
    fn refused(&self, caller: Option<ServiceName>, method: &str, reason: Reason) {
        let caller = caller.map_or("nobody", ServiceName::as_str);
        tracing::warn!(caller, method, %reason, "call refused");
    }
}

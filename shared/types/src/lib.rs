//! The words that every service shares: ids, names, time, risk and who acts. Plain values, no I/O but the system clock.

mod clock;
mod id;
mod name;
mod principal;
mod risk;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use id::{
    ApprovalId, CallId, EventId, GrantId, InstanceId, InvalidId, LeaseId, MemoryId, RunId, SessionId,
    WorkspaceId,
};
pub use name::{AgentName, InvalidName, ServiceName, Subject, Tenant, UnknownService};
pub use principal::{Person, Principal, Role, RunPrincipal, UnknownRole};
pub use risk::{Risk, UnknownRisk};

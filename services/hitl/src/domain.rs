//! What hitl decides, in plain types: no transport, no statements, no clock of its own.

mod approval;
mod aside;
mod authority;
mod authorize;
mod decide;
mod deliver;
mod erase;
mod follow;
mod limits;
mod list;
mod pending;
mod record;
mod redeem;
mod redemption;
pub mod risk;
mod sweep;

pub use approval::{Approval, Change, Decided, Decision};
pub use aside::Aside;
pub use authority::{Authority, Parts};
pub use authorize::{Authorized, Outcome};
pub use decide::Choice;
pub use deliver::Delivery;
pub use erase::{Erased, Kept, WHY};
pub use follow::Known;
pub use limits::LimitPolicy;
pub use list::{Listed, Order, Position, Wanted};
pub use pending::{Added, PendingLimits, Whose};
pub use redemption::Redemption;

/// How long a grant lives (ARCHITECTURE §3): long enough to be carried to its enforcer, too short to be kept.
pub const GRANT_LIFETIME: std::time::Duration = std::time::Duration::from_secs(60);

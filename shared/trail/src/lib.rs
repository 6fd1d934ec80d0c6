//! How a service leaves its trail in the audit log: one event a step, acknowledged when it is durable.
//!
//! All events of a process go through one pipeline, so its sequence has no gaps: one batch is on its way at a time, and
//! what arrives meanwhile makes up the next. A single caller waits for one RPC, many share one. While audit cannot be
//! reached, callers are refused after 5 s and their events stay queued: the log may say more than happened, never less.

mod error;
mod event;
mod kind;
mod pipeline;
mod refusals;
mod trail;

pub use error::Error;
pub use event::{Event, Outcome};
pub use kind::Kind;
pub use refusals::WINDOW;
pub use trail::{PATIENCE, QUEUE, Trail};

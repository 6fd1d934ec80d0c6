//! hitl as its callers see it, through the in-process channel.

mod authorize;
mod decide;
mod faults;
mod redeem;
mod world;

//! The policy decision point: it rates the risk of every tool call, asks people, and is alone in granting.

pub mod domain;

pub use domain::risk;

//! The agent loop and everything that it decides, in plain types.

pub(crate) mod agent;
pub(crate) mod budget;
pub(crate) mod calls;
pub(crate) mod context;
mod dispatch;
pub(crate) mod events;
pub(crate) mod journal;
pub(crate) mod model;
mod remembered;
pub(crate) mod repetition;
mod response;
pub(crate) mod run;
pub(crate) mod state;
pub(crate) mod summing;
pub(crate) mod tools;

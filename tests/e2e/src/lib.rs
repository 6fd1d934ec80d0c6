//! Scenarios across services: a world to play them in, in one process or with audit as a process of its own.

mod log;
mod node;
mod talk;
mod tap;
mod world;

pub use log::{Log, Record};
pub use node::Node;
pub use talk::{Answer, Talk, name_of, reason_of};
pub use tap::{Cut, Killer, RunCalls, Side};
pub use world::{Stopped, Topology, World, quick};

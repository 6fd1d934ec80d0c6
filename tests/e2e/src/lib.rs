//! Scenarios across services: a world to play them in, in one process or with services as processes of their own.

mod cluster;
mod log;
mod node;
mod outside;
mod points;
mod talk;
mod tap;
mod world;

pub use cluster::{Cluster, Instance, Plan};
pub use log::{Log, Record};
pub use node::Node;
pub use outside::{ADDRESS, HOST, Outside};
pub use points::{CountedWire, Counting, Points, Step};
pub use talk::{Answer, Talk, name_of, reason_of};
pub use tap::{Cut, Killer, RunCalls, Side};
pub use world::{Setup, Stopped, Topology, World, quick};

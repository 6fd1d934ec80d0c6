//! Scenarios across services: a world to play them in, in one process or with services as processes of their own.

mod account;
mod cluster;
mod cut;
mod log;
mod neutral;
mod node;
mod outside;
mod place;
mod points;
mod skew;
mod stage;
mod talk;
mod tap;
mod world;

pub use account::Account;
pub use cluster::{Cluster, Instance, Plan};
pub use cut::{Cut, CutWire};
pub use log::{Log, Record};
pub use node::Node;
pub use outside::{ADDRESS, HOST, Outside};
pub use place::{Place, SERVICES};
pub use points::{CountedWire, Counting, Points, Step};
pub use skew::{Clocks, SkewedClock};
pub use stage::{Stage, differences};
pub use talk::{Answer, Talk, name_of, reason_of};
pub use tap::{Killer, RunCalls, Side};
pub use world::{Setup, Stopped, Topology, World, quick};

//! Configuration: typed sections from defaults, a file and the environment, and every fault told at once.

mod load;
mod units;

pub use load::{Configuration, Fault, Faults, Source, load};
pub use units::{InvalidUnit, Size, Span};

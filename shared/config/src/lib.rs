//! Configuration: typed sections from defaults, a file and the environment, and every fault told at once.

mod load;
mod schema;
mod units;

/// For `#[derive(JsonSchema)]` with `#[schemars(crate = "harombe_config::schemars")]`, which every section has.
pub use schemars::{self, JsonSchema};

pub use load::{Configuration, Fault, Faults, Source, load};
pub use schema::schema;
pub use units::{InvalidUnit, Size, Span};

//! Where the vectors of memories are kept and searched: in this process with Qdrant Edge, or on a Qdrant server.
//!
//! The vectors are derived: the memory service's SQL is the truth, and whatever is lost here is made again from it.
//! Read [`Vectors`] first, which both adapters hold to by one suite of tests.

mod check;
mod config;
#[cfg(any(test, feature = "testing"))]
pub mod contract;
mod edge;
mod error;
mod port;
mod qdrant;
#[cfg(any(test, feature = "testing"))]
pub mod testserver;

use std::path::Path;
use std::sync::Arc;

use harombe_types::Clock;

pub use config::{Config, EdgeConfig, QdrantConfig, Quantization};
pub use edge::Edge;
pub use error::Error;
pub use port::{Collection, Ensured, FORMAT, Filter, Hit, Point, Tags, Vectors};
pub use qdrant::Qdrant;

/// What the configuration says: the Qdrant server that it names, or Edge in `folder`, which is made when it is not there.
/// Must be called inside a tokio runtime.
///
/// # Errors
/// Another process has the folder, it cannot be written, or a file that the configuration names cannot be read.
pub fn open(config: &Config, folder: &Path, clock: Arc<dyn Clock>) -> Result<Arc<dyn Vectors>, Error> {
    Ok(match config.qdrant.url {
        Some(_) => Arc::new(Qdrant::connect(&config.qdrant)?),
        None => Arc::new(Edge::open(&config.edge, folder, clock)?),
    })
}

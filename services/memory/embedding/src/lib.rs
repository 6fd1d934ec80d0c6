//! Turns text into vectors for memory: MiniLM in this process, or a model behind an OpenAI-compatible upstream.
//!
//! Nothing is fetched here. A local model comes from a folder whose files were pinned by digest when this was built
//! (`models.json`), a remote one through a sender that the service plugs in.

mod cached;
mod catalogue;
mod error;
mod folder;
mod local;
mod minilm;
mod placing;
mod port;
mod speed;
mod upstream;

pub use cached::Cached;
pub use catalogue::{DEFAULT_MODEL, Known, KnownFile, Package, known, models};
pub use error::Error;
pub use folder::check;
pub use local::{Local, LocalConfig};
pub use placing::{Placing, manifest_source};
pub use port::{Embedder, Model, Purpose};
pub use speed::{Speed, measure};
pub use upstream::{SendError, Sender, Upstream, UpstreamConfig};

//! How the services become a system: the only place that knows all of them.

mod builder;
mod config;
mod data_dir;
mod embedded;
mod error;
mod model;
mod owner;
mod pki;
mod wire;

pub use config::Config;
pub use data_dir::DataDir;
pub use embedded::{Assembly, AuditPlace, Embedded};
pub use error::StartError;
pub use model::{InvalidModel, ModelSource};
pub use pki::Pki;
pub use wire::{Direct, Wire};

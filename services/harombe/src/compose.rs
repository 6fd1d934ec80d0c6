//! How the services become a system: the only place that knows all of them.

mod builder;
mod config;
mod data_dir;
mod door;
mod embedded;
mod entrance;
mod error;
mod model;
mod network;
mod owner;
mod part;
mod peers;
mod pki;
mod process;
mod wire;

use std::time::Duration;

pub use config::{Config, Log};
pub use data_dir::DataDir;
pub use embedded::{Assembly, AuditPlace, Embedded};
pub use error::StartError;
pub use model::{InvalidModel, ModelSource};
pub use network::{ListenAddresses, Network, PeerAddresses};
pub use pki::{Pki, init, renew};
pub use process::{Process, Serving};
pub use wire::{Direct, Wire};

/// How long what was begun may take to finish at shutdown.
const DRAIN: Duration = Duration::from_secs(10);

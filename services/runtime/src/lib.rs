//! The agent loop: takes a person's message, asks a model, has its tool calls allowed and performed by the services
//! that may, and answers. It keeps no state of its own: a run is a lease and a journal in memory, so a node may be
//! killed at any moment and another goes on. It can only ask; what it asks for is decided and enforced elsewhere.

mod agents;
mod audit;
mod config;
mod domain;
mod error;
mod grpc;
mod live;
mod metrics;
mod models;
mod node;
mod peers;
mod room;
mod service;
mod skew;
mod tasks;

pub use config::{
    AgentConfig, Config, ModelConfig, ModelSpec, OutputLimit, Provider, Summaries, Temperature, Tokenizer,
};
pub use models::scripted::ScriptError;
pub use service::{BuildError, Deps, Service, build};

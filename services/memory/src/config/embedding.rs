//! Which model memories are embedded with.

use std::path::PathBuf;

use harombe_config::JsonSchema;
use serde::{Deserialize, Serialize};

const THREADS_MAX: u32 = 64;
const CACHE_MAX: u64 = 1_000_000;
const DIMENSION_MAX: u32 = 8_192;
const NAME_MAX: usize = 256;

/// The embedding model. Without one memories are found by their words alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingConfig {
    /// A folder with a local model, as `harombe models pull` makes it. None: `models/all-minilm-l6-v2` in the data
    /// directory, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// A model behind an upstream of egress-proxy instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamConfig>,
    /// Threads that compute a local model. From 1 to 64; 0 means one for each processor, four at most.
    pub threads: u32,
    /// Questions whose vectors are remembered. At most 1,000,000.
    pub cache: u64,
}

/// A model behind an upstream that speaks OpenAI's embeddings protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// The upstream: a name under `egress-proxy.upstreams` whose `services` has `"memory"`.
    pub name: String,
    /// The model, as the upstream calls it.
    pub model: String,
    /// Numbers in its vectors. From 1 to 8,192.
    pub dimension: u32,
}

impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self {
            folder: None,
            upstream: None,
            threads: 0,
            cache: 10_000,
        }
    }
}

impl EmbeddingConfig {
    pub(super) fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, what: &str| faults.push(format!("memory.embedding.{key}: {what}"));
        if self.threads > THREADS_MAX {
            fault("threads", "must be at most 64; 0 means one for each processor");
        }
        if self.cache > CACHE_MAX {
            fault("cache", "must be at most 1000000");
        }
        let Some(upstream) = &self.upstream else {
            return faults;
        };
        if self.folder.is_some() {
            fault(
                "folder",
                "cannot be together with memory.embedding.upstream; remove one of them",
            );
        }
        if !(1..=NAME_MAX).contains(&upstream.name.len()) {
            fault("upstream.name", "must be the name of an upstream of egress-proxy");
        }
        if !(1..=NAME_MAX).contains(&upstream.model.len()) {
            fault(
                "upstream.model",
                "must be the model's name, with at most 256 bytes",
            );
        }
        if !(1..=DIMENSION_MAX).contains(&upstream.dimension) {
            fault("upstream.dimension", "must be from 1 to 8192");
        }
        faults
    }
}

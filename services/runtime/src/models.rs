//! The models that exist, behind the port [`crate::domain::model::Model`].
//!
//! ```text
//! remote (attempts, pauses) → http (tunnel, silence, bounds) → egress-proxy → provider
//!    └→ anthropic, openai: the request (said) and the events of the answer (sse → stream → collect)
//! ```

mod anthropic;
mod collect;
mod fault;
mod http;
mod openai;
mod remote;
mod said;
pub(crate) mod scripted;
mod sse;

use std::sync::Arc;

use crate::config::{ModelConfig, Provider};
use crate::domain::model::Model;
use crate::peers::Egress;
use anthropic::Anthropic;
use http::Endpoint;
use openai::OpenAi;
use remote::Remote;

/// Tokens of one response of a provider that must be told a limit.
const DEFAULT_OUTPUT: u32 = 8192;

/// The model that the configuration describes.
pub(crate) fn configured(config: &ModelConfig, egress: Egress) -> Arc<dyn Model> {
    let endpoint = Endpoint {
        egress,
        upstream: config.upstream.clone(),
        first_byte: config.first_byte.as_duration(),
        idle: config.idle.as_duration(),
    };
    let (model, attempts) = (config.model.clone(), config.attempts);
    let temperature = config.temperature.map(f64::from);
    match config.provider {
        Provider::Anthropic => Arc::new(Remote {
            provider: Anthropic {
                model,
                max_output_tokens: config.max_output_tokens.unwrap_or(DEFAULT_OUTPUT),
                temperature,
            },
            endpoint,
            attempts,
        }),
        Provider::Openai => Arc::new(Remote {
            provider: OpenAi {
                model,
                max_output_tokens: config.max_output_tokens,
                output_limit: config.output_limit,
                temperature,
            },
            endpoint,
            attempts,
        }),
    }
}

#[cfg(test)]
mod tests;

//! A model behind an OpenAI-compatible `POST …/embeddings`. How the request gets there is the service's business.

mod answer;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{Embedder, Error, Model, Purpose};

/// Sends one request and reads its whole answer.
#[async_trait]
pub trait Sender: Send + Sync + 'static {
    /// The request names a path only; where it goes is configured behind this. At most `limit` bytes of the answer's body
    /// are read, and one that is longer is [`SendError::TooLarge`].
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limit: usize,
    ) -> Result<http::Response<Bytes>, SendError>;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The answer is longer than allowed.
    #[error("the answer is too large")]
    TooLarge,
    /// It could not be sent, or the answer broke off.
    #[error("the request failed")]
    Failed {
        /// Whether trying again may help.
        retry: bool,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What is asked, and what is expected.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Which upstream it is; part of the digest, as another one may compute otherwise.
    pub name: String,
    /// The model, as the upstream calls it.
    pub model: String,
    /// Numbers in its vectors; others are refused.
    pub dimension: u32,
    /// Tokens of a text that count. A text is cut at three bytes for each.
    pub max_tokens: u32,
    /// The path, after the upstream's own: `/embeddings`.
    pub path: String,
    /// Texts in one request.
    pub batch: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// What the model wants before a query, such as `query: `.
    pub query_prefix: String,
    /// What the model wants before a passage.
    pub passage_prefix: String,
}

impl UpstreamConfig {
    /// A model of an upstream, all else as usual: 512 tokens, `/embeddings`, 64 texts in a request, 30 s, no prefixes.
    #[must_use]
    pub fn new(name: impl Into<String>, model: impl Into<String>, dimension: u32) -> Self {
        Self {
            name: name.into(),
            model: model.into(),
            dimension,
            max_tokens: 512,
            path: "/embeddings".to_owned(),
            batch: 64,
            timeout: Duration::from_secs(30),
            query_prefix: String::new(),
            passage_prefix: String::new(),
        }
    }

    fn digest(&self) -> String {
        let settings = serde_json::json!([
            &self.name,
            &self.model,
            self.dimension,
            self.max_tokens,
            &self.query_prefix,
            &self.passage_prefix,
        ]);
        hex::encode(Sha256::digest(settings.to_string()))
    }

    /// Bytes of an answer with `texts` vectors that are read: a number takes 32 with room to spare.
    fn limit(&self, texts: usize) -> usize {
        let dimension = usize::try_from(self.dimension).unwrap_or(usize::MAX);
        texts
            .saturating_mul(dimension)
            .saturating_mul(32)
            .saturating_add(64 << 10)
    }
}

/// An embedder behind an upstream.
pub struct Upstream<S> {
    sender: S,
    config: UpstreamConfig,
    model: Model,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
}

impl<S: Sender> Upstream<S> {
    /// Asks nobody yet.
    #[must_use]
    pub fn new(sender: S, config: UpstreamConfig) -> Self {
        Self {
            model: Model {
                name: config.model.clone(),
                digest: config.digest(),
                dimension: config.dimension,
                max_tokens: config.max_tokens,
            },
            sender,
            config,
        }
    }

    /// What is sent for a text: its prefix, and as much of it as counts. Providers refuse an empty one.
    fn input(&self, text: &str, purpose: Purpose) -> String {
        let prefix = match purpose {
            Purpose::Query => &self.config.query_prefix,
            Purpose::Passage => &self.config.passage_prefix,
        };
        let most = usize::try_from(self.config.max_tokens)
            .unwrap_or(usize::MAX)
            .saturating_mul(3);
        let text = text.get(..text.floor_char_boundary(most)).unwrap_or(text);
        let text = if text.trim().is_empty() { "-" } else { text };
        format!("{prefix}{text}")
    }

    async fn ask(&self, input: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        let body = serde_json::to_vec(&Request {
            model: &self.config.model,
            input,
            encoding_format: "float",
        });
        let request = body.map_err(|error| error.to_string()).and_then(|body| {
            let request = http::Request::post(&self.config.path)
                .header(HOST, "embeddings")
                .header(CONTENT_TYPE, "application/json")
                .header(ACCEPT, "application/json")
                .body(Bytes::from(body));
            request.map_err(|error| error.to_string())
        });
        let request = request.map_err(|why| Error::Answer { why })?;
        let sent = self.sender.send(request, self.config.limit(input.len()));
        let after = self.config.timeout;
        let sent = tokio::time::timeout(after, sent)
            .await
            .map_err(|_| Error::Timeout { after })?;
        match sent {
            Ok(response) => answer::read(&response, input.len(), self.config.dimension),
            Err(SendError::TooLarge) => Err(Error::Answer {
                why: "it is too large for vectors of that dimension".to_owned(),
            }),
            Err(SendError::Failed { retry, source }) => Err(Error::Unreachable {
                retry,
                source: source.into(),
            }),
        }
    }
}

#[async_trait]
impl<S: Sender> Embedder for Upstream<S> {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.config.batch.max(1)) {
            let input: Vec<String> = batch.iter().map(|text| self.input(text, purpose)).collect();
            vectors.extend(self.ask(&input).await?);
        }
        Ok(vectors)
    }
}

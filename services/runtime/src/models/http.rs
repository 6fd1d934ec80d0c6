//! One request to a provider and its answer, piece by piece, through a tunnel to an upstream: silence and endless answers
//! are broken off.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::timeout;

use super::fault::Fault;
use crate::peers::{Answer, Egress};

/// Longest answer that is read, in bytes. Every token may come in an event of its own.
const MAX_ANSWER: usize = 64 << 20;

/// How much of a refusal is read, in bytes, and for how long.
const MAX_REFUSAL: usize = 64 << 10;
const REFUSAL: Duration = Duration::from_secs(10);

/// Where a model is asked.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// The way out.
    pub egress: Egress,
    /// The upstream's name.
    pub upstream: String,
    /// Longest wait for the first byte of the answer.
    pub first_byte: Duration,
    /// Longest silence after it.
    pub idle: Duration,
}

/// An answer as it comes.
pub(super) struct Stream {
    answer: Answer,
    idle: Duration,
    read: usize,
}

impl Endpoint {
    /// Sends the request, and returns once the provider has begun to stream.
    ///
    /// # Errors
    /// The provider cannot be reached, is silent, refuses, or does not stream.
    pub(super) async fn post(
        &self,
        token: &str,
        path: &str,
        fields: &[(&'static str, &'static str)],
        body: Bytes,
    ) -> Result<Stream, Fault> {
        let mut request = http::Request::post(path)
            .header(http::header::HOST, "model")
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, "text/event-stream");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request
            .body(body.into())
            .map_err(|_| Fault::broken("cannot be asked at the path of its upstream"))?;
        let asked = self.egress.ask(token, &self.upstream, request);
        let mut answer = timeout(self.first_byte, asked)
            .await
            .map_err(|_| Fault::broken("did not begin to answer in time"))?
            .map_err(Fault::of_the_way)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status != StatusCode::OK {
            let body = timeout(REFUSAL, refusal(&mut answer)).await.unwrap_or_default();
            return Err(Fault::status(status, &headers, &body));
        }
        if !is_event_stream(&headers) {
            return Err(Fault::broken("did not answer with a stream of events"));
        }
        Ok(Stream {
            answer,
            idle: self.idle,
            read: 0,
        })
    }
}

impl Stream {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The stream broke, fell silent, or does not end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let piece = timeout(self.idle, self.answer.next())
            .await
            .map_err(|_| Fault::broken("fell silent in the middle of its answer"))?
            .map_err(Fault::of_the_way)?;
        self.read += piece.as_ref().map_or(0, Bytes::len);
        if self.read > MAX_ANSWER {
            return Err(Fault::too_long("the stream"));
        }
        Ok(piece)
    }
}

async fn refusal(answer: &mut Answer) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.next().await {
        body.extend_from_slice(&piece);
        if body.len() > MAX_REFUSAL {
            body.truncate(MAX_REFUSAL);
            break;
        }
    }
    body
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/event-stream")
}

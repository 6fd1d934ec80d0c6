//! A completion in chunks as they are said.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use harombe_proto::agent::v1::SendMessageResponse;
use harombe_proto::types::v1::RunEvent;
use harombe_proto::types::v1::run_event::Event;
use harombe_transcode::MessageJson;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::body::Body;
use tonic::{Status, Streaming};

use super::answer::{Completion, broken_off, finish_reason, run_failed, usage};
use super::error::OpenAiError;
use super::text::Text;

/// How long the status line waits for the first event, so that a refusal that comes as one has its own status.
const FIRST: Duration = Duration::from_secs(1);

struct Chunks {
    completion: Completion,
    json: MessageJson,
    keep_alive: Duration,
    /// `None` once everything was said.
    events: Option<Streaming<SendMessageResponse>>,
    first: Option<Result<Option<SendMessageResponse>, Status>>,
    text: Text,
    /// The role was said.
    greeted: bool,
}

/// Chunks as server-sent events, made as the client reads them.
pub(crate) async fn answer(
    completion: Completion,
    mut events: Streaming<SendMessageResponse>,
    json: MessageJson,
    keep_alive: Duration,
) -> Result<Response<Body>, OpenAiError> {
    let first = tokio::time::timeout(FIRST, events.message()).await.ok();
    if let Some(Err(status)) = first {
        return Err(OpenAiError::from(status).begun());
    }
    let chunks = Chunks {
        completion,
        json,
        keep_alive,
        events: Some(events),
        first,
        text: Text::default(),
        greeted: false,
    };
    let body = stream::unfold(chunks, |mut chunks| async {
        let written = chunks.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Frame::data(written)), chunks))
    });
    let mut response = Response::new(Body::new(StreamBody::new(body)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl Chunks {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let events = self.events.as_mut()?;
            let message = match self.first.take() {
                Some(first) => first,
                None => match tokio::time::timeout(self.keep_alive, events.message()).await {
                    Ok(message) => message,
                    Err(_) => return Some(Bytes::from_static(b": keep-alive\n\n")),
                },
            };
            let written = match message {
                Ok(Some(SendMessageResponse { event: Some(event) })) => self.write(&event),
                Ok(_) => self.fail(&broken_off()),
                Err(status) => self.fail(&OpenAiError::from(status)),
            };
            if !written.is_empty() {
                return Some(written.into());
            }
        }
    }

    fn write(&mut self, event: &RunEvent) -> String {
        let run = event.run_id.clone();
        let mut out = String::new();
        if !self.greeted {
            self.greeted = true;
            let mut greeting = self.chunk(&run, &json!({"role": "assistant", "content": ""}), None);
            greeting["harombe"] = json!({"session_id": self.completion.session, "run_id": run});
            out = data(&greeting);
        }
        match &event.event {
            Some(Event::TextDelta(delta)) => {
                let new = self.text.delta(delta.offset, &delta.text);
                out + &self.said(&run, &new)
            }
            Some(Event::TextFinished(whole)) => {
                let new = self.text.finished(&whole.text);
                out + &self.said(&run, &new)
            }
            Some(Event::RunFailed(failed)) => out + &self.fail(&run_failed(failed.clone())),
            Some(Event::RunFinished(finished)) => {
                self.events = None;
                out += &data(&self.chunk(&run, &json!({}), Some(finish_reason(finished))));
                if self.completion.include_usage {
                    let mut last = self.chunk(&run, &json!({}), None);
                    last["choices"] = json!([]);
                    last["usage"] = usage(finished);
                    out += &data(&last);
                }
                out + "data: [DONE]\n\n"
            }
            Some(
                Event::ToolCallProposed(_)
                | Event::ApprovalRequired(_)
                | Event::ApprovalDecided(_)
                | Event::ToolStarted(_)
                | Event::ToolOutput(_)
                | Event::ToolFinished(_),
            ) => {
                let mut chunk = self.chunk(&run, &json!({}), None);
                chunk["harombe"] = self.json.value(&event.encode_to_vec()).unwrap_or_default();
                out + &data(&chunk)
            }
            Some(Event::RunStarted(_) | Event::ContextBuilt(_) | Event::Usage(_)) | None => out,
        }
    }

    fn said(&self, run: &str, new: &str) -> String {
        if new.is_empty() {
            return String::new();
        }
        data(&self.chunk(run, &json!({"content": new}), None))
    }

    fn chunk(&self, run: &str, delta: &Value, finish: Option<&str>) -> Value {
        let mut chunk = self.completion.head("chat.completion.chunk", run);
        chunk["choices"] = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        if self.completion.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn fail(&mut self, error: &OpenAiError) -> String {
        self.events = None;
        data(&error.json())
    }
}

fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

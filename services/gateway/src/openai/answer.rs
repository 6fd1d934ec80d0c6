//! A completion in one piece, and what both forms of it say.

use bytes::Bytes;
use harombe_error::{Code, Failure, Reason};
use harombe_proto::agent::v1::SendMessageResponse;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunFailed, RunFinished, StopReason};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use serde_json::{Value, json};
use tonic::Streaming;
use tonic::body::Body;

use super::error::OpenAiError;
use super::text::Text;

/// What is the same in every chunk.
pub(crate) struct Completion {
    pub(crate) model: String,
    pub(crate) session: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) include_usage: bool,
}

impl Completion {
    pub(crate) fn head(&self, object: &str, run: &str) -> Value {
        json!({
            "id": format!("chatcmpl-{run}"),
            "object": object,
            "created": self.created,
            "model": self.model,
        })
    }
}

/// The answer once the run has ended.
pub(crate) async fn collected(
    completion: Completion,
    mut events: Streaming<SendMessageResponse>,
) -> Result<Response<Body>, OpenAiError> {
    let (mut text, mut said) = (Text::default(), String::new());
    let finished = loop {
        let message = events
            .message()
            .await
            .map_err(|status| OpenAiError::from(status).begun())?;
        let Some(event) = message.and_then(|message| message.event) else {
            return Err(broken_off());
        };
        match event.event {
            Some(Event::TextDelta(delta)) => said.push_str(&text.delta(delta.offset, &delta.text)),
            Some(Event::TextFinished(whole)) => said.push_str(&text.finished(&whole.text)),
            Some(Event::RunFailed(failed)) => return Err(run_failed(failed)),
            Some(Event::RunFinished(finished)) => break (event.run_id, finished),
            _ => {}
        }
    };
    let (run, finished) = finished;
    let mut body = completion.head("chat.completion", &run);
    body["choices"] = json!([{
        "index": 0,
        "message": {"role": "assistant", "content": said, "refusal": null},
        "logprobs": null,
        "finish_reason": finish_reason(&finished),
    }]);
    body["usage"] = usage(&finished);
    body["harombe"] = json!({
        "session_id": completion.session,
        "run_id": run,
        "stop_reason": finished.stop_reason().as_str_name(),
    });
    Ok(json(&body))
}

pub(crate) fn json(body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(Bytes::from(
        body.to_string(),
    ))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer that a budget cut off is as long as it may be.
pub(crate) fn finish_reason(finished: &RunFinished) -> &'static str {
    match finished.stop_reason() {
        StopReason::StepLimit | StopReason::TokenLimit | StopReason::TimeLimit => "length",
        StopReason::Unspecified | StopReason::Answered | StopReason::Cancelled => "stop",
    }
}

pub(crate) fn usage(finished: &RunFinished) -> Value {
    let usage = finished.usage.unwrap_or_default();
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
    })
}

/// A run that failed is not tried again by itself: whatever it did is done.
pub(crate) fn run_failed(failed: RunFailed) -> OpenAiError {
    let reason = Reason::parse(&failed.reason).unwrap_or(Reason::Internal);
    OpenAiError::from(Failure::new(Code::Internal, reason, failed.message)).begun()
}

pub(crate) fn broken_off() -> OpenAiError {
    let message = "the run's events broke off; GET /v1/runs/{run_id} says how it went on";
    OpenAiError::from(Failure::new(Code::Unavailable, Reason::Unavailable, message)).begun()
}

//! Anthropic's Messages API, streaming.

mod stream;

use serde_json::{Map, Value, json};

use super::remote::Provider;
use super::said::{Said, said};
use crate::domain::model::Request;
use stream::MessageStream;

/// A model of the Messages API.
#[derive(Debug)]
pub(super) struct Anthropic {
    /// The model's name at the provider.
    pub model: String,
    /// Tokens of one response.
    pub max_output_tokens: u32,
    /// Left to the provider when absent.
    pub temperature: Option<f64>,
}

impl Provider for Anthropic {
    type Reader = MessageStream;

    const PATH: &'static str = "/v1/messages";

    const FIELDS: &'static [(&'static str, &'static str)] = &[("anthropic-version", "2023-06-01")];

    fn body(&self, request: &Request<'_>) -> Value {
        let messages: Vec<_> = said(request.messages).into_iter().map(message).collect();
        let mut body = Map::new();
        body.insert("model".into(), json!(self.model));
        let limit = request.most.unwrap_or(u32::MAX).min(self.max_output_tokens);
        body.insert("max_tokens".into(), json!(limit));
        if !request.system.trim().is_empty() {
            body.insert("system".into(), json!(request.system));
        }
        body.insert("messages".into(), json!(messages));
        if !request.tools.is_empty() {
            let tools: Vec<_> = request
                .tools
                .iter()
                .map(|tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.schema() }))
                .collect();
            body.insert("tools".into(), json!(tools));
        }
        if let Some(temperature) = self.temperature {
            body.insert("temperature".into(), json!(temperature));
        }
        body.insert("stream".into(), json!(true));
        Value::Object(body)
    }

    fn reader(&self) -> MessageStream {
        MessageStream::default()
    }
}

fn message(said: Said) -> Value {
    match said {
        Said::User(texts) => {
            let content: Vec<_> = texts
                .into_iter()
                .map(|text| json!({ "type": "text", "text": text }))
                .collect();
            json!({ "role": "user", "content": content })
        }
        Said::Assistant { text, calls } => {
            let text = (!text.trim().is_empty()).then(|| json!({ "type": "text", "text": text }));
            let calls = calls.into_iter().map(
                |call| json!({ "type": "tool_use", "id": call.id, "name": call.tool, "input": call.arguments }),
            );
            let content: Vec<_> = text.into_iter().chain(calls).collect();
            json!({ "role": "assistant", "content": content })
        }
        Said::Results(results) => {
            let results: Vec<_> = results
                .into_iter()
                .map(|(id, text)| json!({ "type": "tool_result", "tool_use_id": id, "content": text }))
                .collect();
            json!({ "role": "user", "content": results })
        }
    }
}

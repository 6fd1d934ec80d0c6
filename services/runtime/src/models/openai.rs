//! Chat completions as OpenAI has them, streaming, and as llama.cpp, Ollama, vLLM and others speak them.

mod stream;

use serde_json::{Map, Value, json};

use super::remote::Provider;
use super::said::{Said, said};
use crate::config::OutputLimit;
use crate::domain::model::Request;
use stream::ChunkStream;

/// A model of the chat completions API.
#[derive(Debug)]
pub(super) struct OpenAi {
    /// The model's name at the provider.
    pub model: String,
    /// Tokens of one response; left to the provider when absent.
    pub max_output_tokens: Option<u32>,
    /// Under which name that limit is sent.
    pub output_limit: OutputLimit,
    /// Left to the provider when absent.
    pub temperature: Option<f64>,
}

impl Provider for OpenAi {
    type Reader = ChunkStream;

    const PATH: &'static str = "/chat/completions";

    const FIELDS: &'static [(&'static str, &'static str)] = &[];

    fn body(&self, request: &Request<'_>) -> Value {
        let system = (!request.system.trim().is_empty())
            .then(|| json!({ "role": "system", "content": request.system }));
        let messages: Vec<_> = system
            .into_iter()
            .chain(said(request.messages).into_iter().flat_map(messages))
            .collect();
        let mut body = Map::new();
        body.insert("model".into(), json!(self.model));
        body.insert("messages".into(), json!(messages));
        if !request.tools.is_empty() {
            let tools: Vec<_> = request
                .tools
                .iter()
                .map(|tool| {
                    let function =
                        json!({ "name": tool.name, "description": tool.description, "parameters": tool.schema() });
                    json!({ "type": "function", "function": function })
                })
                .collect();
            body.insert("tools".into(), json!(tools));
        }
        let limits = [self.max_output_tokens, request.most];
        if let Some(limit) = limits.into_iter().flatten().min() {
            body.insert(self.output_limit.key().into(), json!(limit));
        }
        if let Some(temperature) = self.temperature {
            body.insert("temperature".into(), json!(temperature));
        }
        body.insert("stream".into(), json!(true));
        body.insert("stream_options".into(), json!({ "include_usage": true }));
        Value::Object(body)
    }

    fn reader(&self) -> ChunkStream {
        ChunkStream::default()
    }
}

fn messages(said: Said) -> Vec<Value> {
    match said {
        // one message, and one text: many servers take no two of the same speaker, and no parts
        Said::User(texts) => vec![json!({ "role": "user", "content": texts.join("\n\n") })],
        Said::Assistant { text, calls } => {
            let mut message = Map::new();
            message.insert("role".into(), json!("assistant"));
            message.insert("content".into(), json!(text));
            if !calls.is_empty() {
                let calls: Vec<_> = calls
                    .into_iter()
                    .map(|call| {
                        let arguments = Value::Object(call.arguments).to_string();
                        let function = json!({ "name": call.tool, "arguments": arguments });
                        json!({ "id": call.id, "type": "function", "function": function })
                    })
                    .collect();
                message.insert("tool_calls".into(), json!(calls));
            }
            vec![Value::Object(message)]
        }
        Said::Results(results) => results
            .into_iter()
            .map(|(id, text)| json!({ "role": "tool", "tool_call_id": id, "content": text }))
            .collect(),
    }
}

//! A chat completion as it is asked for: what of it means something here, and what is refused because it would not.

use harombe_proto::types::v1::{ClaimedMessage, ClaimedRole};
use serde_json::{Map, Value};

use super::error::OpenAiError;

/// Only hints, or of use to the client alone: the run is none the worse without them.
const HARMLESS: [&str; 16] = [
    "frequency_penalty",
    "metadata",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "safety_identifier",
    "seed",
    "service_tier",
    "store",
    "temperature",
    "top_p",
    "user",
    "verbosity",
];

const TOOLS: &str = "tools that the client brings are not run: an agent has its own tools, and each call of them is \
checked and recorded; leave this out, and choose an agent whose tools fit (GET /v1/models)";
const BUDGET: &str = "an agent's budget bounds its answers; leave this out";

/// What a client asks of an agent.
#[derive(Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) model: String,
    /// The message to answer.
    pub(crate) text: String,
    /// What the client says came before it.
    pub(crate) history: Vec<ClaimedMessage>,
    /// Its own instructions.
    pub(crate) instructions: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
}

impl Asked {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, OpenAiError> {
        let fault = |what: String| OpenAiError::invalid("body", what);
        let parsed: Value =
            serde_json::from_slice(body).map_err(|error| fault(format!("the body is no JSON: {error}")))?;
        let Value::Object(mut members) = parsed else {
            return Err(fault(
                "the body must be an object with model and messages".to_owned(),
            ));
        };
        let model = match members.remove("model") {
            Some(Value::String(model)) if !model.is_empty() => model,
            _ => {
                return Err(OpenAiError::invalid(
                    "model",
                    "model must be the name of an agent",
                ));
            }
        };
        let Some(Value::Array(messages)) = members.remove("messages") else {
            return Err(OpenAiError::invalid("messages", "messages must be a list"));
        };
        let stream = flag(members.remove("stream").as_ref(), "stream")?;
        let include_usage = match members.remove("stream_options") {
            Some(Value::Object(options)) => flag(options.get("include_usage"), "stream_options")?,
            _ => false,
        };
        rest(&members)?;
        let mut asked = Self {
            model,
            text: String::new(),
            history: Vec::new(),
            instructions: String::new(),
            stream,
            include_usage,
        };
        asked.take(messages)?;
        Ok(asked)
    }

    fn take(&mut self, messages: Vec<Value>) -> Result<(), OpenAiError> {
        for message in messages {
            let Value::Object(mut message) = message else {
                return Err(OpenAiError::invalid("messages", "a message must be an object"));
            };
            let role = message.remove("role");
            let has = |name: &str| message.get(name).is_some_and(|value| !is_nothing(value));
            if has("tool_calls") || has("function_call") {
                return Err(OpenAiError::invalid(
                    "messages",
                    format!("a message has tool calls: {TOOLS}"),
                ));
            }
            let text = text(message.remove("content"))?;
            match role.as_ref().and_then(Value::as_str) {
                Some("system" | "developer") => {
                    if !self.instructions.is_empty() {
                        self.instructions.push_str("\n\n");
                    }
                    self.instructions.push_str(&text);
                }
                Some("user") => self.history.push(claimed(ClaimedRole::User, text)),
                Some("assistant") => self.history.push(claimed(ClaimedRole::Assistant, text)),
                Some("tool" | "function") => {
                    return Err(OpenAiError::invalid(
                        "messages",
                        format!("a message is a tool's result: {TOOLS}"),
                    ));
                }
                _ => {
                    let expected = "a message's role must be system, developer, user or assistant";
                    return Err(OpenAiError::invalid("messages", expected));
                }
            }
        }
        match self.history.pop() {
            Some(last) if last.role() == ClaimedRole::User && !last.text.is_empty() => {
                self.text = last.text;
                Ok(())
            }
            _ => Err(OpenAiError::invalid(
                "messages",
                "the last message must be the user's, with some text: it is what the agent answers",
            )),
        }
    }
}

fn claimed(role: ClaimedRole, text: String) -> ClaimedMessage {
    ClaimedMessage {
        role: role.into(),
        text,
    }
}

/// A message's text: a string, or parts that are text.
fn text(content: Option<Value>) -> Result<String, OpenAiError> {
    let parts = match content {
        Some(Value::String(text)) => return Ok(text),
        Some(Value::Array(parts)) => parts,
        None | Some(Value::Null) => return Ok(String::new()),
        Some(_) => {
            return Err(OpenAiError::invalid(
                "messages",
                "a message's content must be text",
            ));
        }
    };
    let mut text = String::new();
    for part in &parts {
        let is_text = part.get("type").and_then(Value::as_str) == Some("text");
        match part.get("text").and_then(Value::as_str) {
            Some(piece) if is_text => text.push_str(piece),
            _ => {
                let told = "a message has a part that is not text; images, sound and files are not taken here: upload \
                            files to the session (PUT /v1/sessions/{session_id}/files/{path})";
                return Err(OpenAiError::invalid("messages", told));
            }
        }
    }
    Ok(text)
}

fn flag(value: Option<&Value>, param: &'static str) -> Result<bool, OpenAiError> {
    match value {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(OpenAiError::invalid(
            param,
            format!("{param} must be true or false"),
        )),
    }
}

/// Every other parameter: without it the answer must mean the same.
fn rest(members: &Map<String, Value>) -> Result<(), OpenAiError> {
    for (name, value) in members {
        if is_nothing(value) || HARMLESS.contains(&name.as_str()) {
            continue;
        }
        refusal(name, value)?;
    }
    Ok(())
}

fn refusal(name: &str, value: &Value) -> Result<(), OpenAiError> {
    let (param, told) = match name {
        "tools" => ("tools", TOOLS),
        "functions" => ("functions", TOOLS),
        "tool_choice" if value == "none" || value == "auto" => return Ok(()),
        "tool_choice" => ("tool_choice", TOOLS),
        "function_call" => ("function_call", TOOLS),
        "n" if value == 1 => return Ok(()),
        "n" => ("n", "a run has one answer; leave n out or make it 1"),
        "max_tokens" => ("max_tokens", BUDGET),
        "max_completion_tokens" => ("max_completion_tokens", BUDGET),
        "response_format" if value.get("type").is_some_and(|kind| kind == "text") => return Ok(()),
        "response_format" => ("response_format", "answers are text; leave response_format out"),
        "modalities" if *value == serde_json::json!(["text"]) => return Ok(()),
        "modalities" | "audio" => ("modalities", "answers are text; leave modalities and audio out"),
        "logprobs" if value == false => return Ok(()),
        "logprobs" | "top_logprobs" => (
            "logprobs",
            "probabilities of tokens are not kept; leave logprobs out",
        ),
        "logit_bias" => ("logit_bias", "tokens cannot be favoured; leave logit_bias out"),
        "stop" => (
            "stop",
            "a run ends with its answer, not at a word; leave stop out",
        ),
        "web_search_options" => ("web_search_options", TOOLS),
        _ => {
            let shown: String = name.chars().take(100).collect();
            return Err(OpenAiError::invalid(
                "body",
                format!("the parameter {shown:?} is not known here; leave it out"),
            ));
        }
    };
    Err(OpenAiError::invalid(param, told))
}

/// What says no more than leaving it out.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;

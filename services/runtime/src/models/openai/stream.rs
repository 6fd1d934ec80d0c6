//! The chunks of a streamed completion. Servers differ: ids and indexes may be missing or repeated, calls may come whole,
//! usage may be left out, errors may come in the stream.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::super::collect::{Calls, Text};
use super::super::fault::{Fault, error_in};
use super::super::remote::Reader;
use super::super::sse;
use crate::domain::model::{Delta, Response, Stopped, Usage, estimate_tokens};

/// What ends every stream of those servers that follow OpenAI closely.
const DONE: &str = "[DONE]";

/// One completion as it comes.
#[derive(Debug, Default)]
pub(in super::super) struct ChunkStream {
    text: Text,
    calls: Calls,
    /// Calls that have begun.
    begun: u64,
    usage: Option<Usage>,
    finish_reason: Option<String>,
    done: bool,
    /// Tokens of what was written, for servers that do not say.
    written: u64,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default, deserialize_with = "or_default")]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    #[serde(default, deserialize_with = "or_default")]
    delta: ChoiceDelta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct ChoiceDelta {
    #[serde(default)]
    content: Option<String>,
    /// The model's own words when it declines.
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    tool_calls: Vec<CallDelta>,
}

#[derive(Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    function: FunctionDelta,
}

#[derive(Default, Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    /// A string by the book, an object at some servers.
    #[serde(default)]
    arguments: Value,
}

#[derive(Clone, Copy, Deserialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

impl ChunkStream {
    fn call(&mut self, delta: CallDelta) -> Result<(), Fault> {
        let CallDelta { index, id, function } = delta;
        let name = function.name.filter(|name| !name.is_empty());
        let id = id.filter(|id| !id.is_empty());
        let last = self.begun.checked_sub(1);
        let index = index.or(last).unwrap_or(0);
        if self.is_new(index, id.as_deref(), name.as_deref()) {
            let id = id.unwrap_or_default();
            self.calls
                .begin(index, id, name.unwrap_or_default(), &Value::Null)?;
            self.begun += 1;
        } else if let Some(call) = self.calls.at(index)
            && call.tool.is_empty()
        {
            call.tool = name.unwrap_or_default();
        }
        match function.arguments {
            Value::Null => Ok(()),
            Value::String(piece) => self.calls.append(index, &piece),
            whole => self.calls.append(index, &whole.to_string()),
        }
    }

    /// Whether a piece begins another call. Some servers give all calls the same index, and some no ids.
    fn is_new(&mut self, index: u64, id: Option<&str>, name: Option<&str>) -> bool {
        let Some(open) = self.calls.at(index) else {
            return true;
        };
        match (id, name) {
            (Some(id), _) if !open.provider_id.is_empty() => id != open.provider_id,
            (_, Some(_)) => !open.tool.is_empty() && is_whole(&open.arguments),
            _ => false,
        }
    }
}

fn is_whole(arguments: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok()
}

impl Reader for ChunkStream {
    fn event(&mut self, event: &sse::Event, delta: Delta<'_>) -> Result<bool, Fault> {
        let data = event.data.trim();
        if data == DONE {
            self.done = true;
            return Ok(true);
        }
        let unreadable = |_| Fault::broken("sent an event that cannot be read");
        if event.name == "error" {
            let value: Value = serde_json::from_str(data).map_err(unreadable)?;
            let (words, kind) = error_in(&value);
            return Err(Fault::told(&kind, &words));
        }
        let Chunk {
            choices,
            usage,
            error,
        } = serde_json::from_str(data).map_err(unreadable)?;
        if let Some(error) = error {
            let (words, kind) = error_in(&error);
            return Err(Fault::told(&kind, &words));
        }
        if let Some(usage) = usage {
            self.usage = Some(Usage {
                input: usage.prompt_tokens.unwrap_or_default(),
                output: usage.completion_tokens.unwrap_or_default(),
            });
        }
        // one answer was asked for
        for choice in choices.into_iter().filter(|choice| choice.index == 0) {
            let ChoiceDelta {
                content,
                refusal,
                tool_calls,
            } = choice.delta;
            for text in content.iter().chain(&refusal) {
                self.text.push(text, delta)?;
            }
            self.written += u64::from(content.is_some_and(|text| !text.is_empty()));
            for call in tool_calls {
                self.call(call)?;
            }
            self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        }
        Ok(false)
    }

    fn usage(&self) -> Usage {
        // a token or so in a chunk
        let output = self.written;
        self.usage.unwrap_or(Usage { input: 0, output })
    }

    fn finish(self) -> Result<Response, Fault> {
        let stopped = match self.finish_reason.as_deref() {
            None if !self.done => return Err(Fault::broken("ended its answer before it was whole")),
            Some("length") => Stopped::Length,
            Some("content_filter") => Stopped::Refused,
            None | Some(_) => Stopped::Whole,
        };
        let (text, calls) = (self.text.take(), self.calls.take(stopped));
        let usage = self.usage.unwrap_or_else(|| {
            let calls: u64 = calls.iter().map(|call| estimate_tokens(&call.arguments)).sum();
            Usage {
                input: 0,
                output: estimate_tokens(&text) + calls,
            }
        });
        Ok(Response {
            text,
            calls,
            usage,
            stopped,
        })
    }
}

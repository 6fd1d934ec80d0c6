//! The events of a streamed message. Kinds of events, blocks and deltas that are not known are passed over, as the API asks.

use serde::Deserialize;
use serde_json::Value;

use super::super::collect::{Calls, Text};
use super::super::fault::Fault;
use super::super::remote::Reader;
use super::super::sse;
use crate::domain::model::{Delta, Response, Stopped, Usage};

/// One message as it comes.
#[derive(Debug, Default)]
pub(in super::super) struct MessageStream {
    text: Text,
    calls: Calls,
    usage: WireUsage,
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireEvent {
    MessageStart {
        message: WireMessage,
    },
    ContentBlockStart {
        index: u64,
        content_block: Block,
    },
    ContentBlockDelta {
        index: u64,
        delta: BlockDelta,
    },
    MessageDelta {
        delta: MessageDelta,
        #[serde(default)]
        usage: Option<WireUsage>,
    },
    MessageStop,
    Error {
        #[serde(default)]
        error: WireError,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct WireMessage {
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        #[serde(default)]
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BlockDelta {
    TextDelta {
        text: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct MessageDelta {
    #[serde(default)]
    stop_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct WireError {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

/// Totals so far, as each event that carries them says; what an event leaves out has not changed.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct WireUsage {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
}

impl WireUsage {
    fn update(&mut self, newer: Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens = newer
            .cache_creation_input_tokens
            .or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
    }

    /// Tokens that were read from a cache were read.
    fn total(self) -> Usage {
        let parts = [
            self.input_tokens,
            self.cache_creation_input_tokens,
            self.cache_read_input_tokens,
        ];
        Usage {
            input: parts
                .into_iter()
                .flatten()
                .fold(0, |sum: u64, part| sum.saturating_add(part)),
            output: self.output_tokens.unwrap_or_default(),
        }
    }
}

impl Reader for MessageStream {
    fn event(&mut self, event: &sse::Event, delta: Delta<'_>) -> Result<bool, Fault> {
        let event = serde_json::from_str(&event.data)
            .map_err(|_| Fault::broken("sent an event that cannot be read"))?;
        match event {
            WireEvent::MessageStart { message } => self.usage.update(message.usage.unwrap_or_default()),
            WireEvent::ContentBlockStart { index, content_block } => match content_block {
                Block::Text { text } => self.text.push(&text, delta)?,
                Block::ToolUse { id, name, input } => self.calls.begin(index, id, name, &input)?,
                Block::Other => {}
            },
            WireEvent::ContentBlockDelta { index, delta: piece } => match piece {
                BlockDelta::TextDelta { text } => self.text.push(&text, delta)?,
                BlockDelta::InputJsonDelta { partial_json } => self.calls.append(index, &partial_json)?,
                BlockDelta::Other => {}
            },
            WireEvent::MessageDelta { delta, usage } => {
                self.stop_reason = delta.stop_reason.or(self.stop_reason.take());
                self.usage.update(usage.unwrap_or_default());
            }
            WireEvent::MessageStop => return Ok(true),
            WireEvent::Error { error } => return Err(Fault::told(&error.kind, &error.message)),
            WireEvent::Other => {}
        }
        Ok(false)
    }

    fn usage(&self) -> Usage {
        self.usage.total()
    }

    fn finish(self) -> Result<Response, Fault> {
        let stopped = match self.stop_reason.as_deref() {
            None => return Err(Fault::broken("ended its answer before it was whole")),
            Some("max_tokens" | "model_context_window_exceeded") => Stopped::Length,
            Some("refusal") => Stopped::Refused,
            Some(_) => Stopped::Whole,
        };
        Ok(Response {
            usage: self.usage.total(),
            text: self.text.take(),
            calls: self.calls.take(stopped),
            stopped,
        })
    }
}

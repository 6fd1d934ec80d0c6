//! A model that reads its turns from a file: for demos and tests, so that everything but the model is real.
//!
//! ```toml
//! [[turn]]
//! when_user_contains = "sales"     # optional: only for messages with these words, whatever their case
//! text = "I will add the column up."
//! [[turn.calls]]
//! tool = "code_execute"
//! arguments = { language = "python", code = "print(1)" }   # or a string, sent as it stands
//!
//! [[turn]]
//! text = "The program printed: {{result}}"                 # what the last tool answered
//! ```
//!
//! The script keeps no place in the file: which turn comes next is counted from the conversation in the request, so
//! a run that another node takes over gets the same next turn. Turns whose condition fits the message are played in
//! order; when none fits, those without a condition. `repeat = true` at the top starts over at the end.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::Deserialize;

use crate::domain::model::{
    Delta, Message, Model, Piece, Proposal, Request, Response, Stopped, Unanswered, Usage, estimate_tokens,
};

/// Played when no script is configured.
const BUILT_IN: &str = include_str!("scripted/built_in.toml");

/// Longest piece of a tool's answer that `{{result}}` puts into a text, in bytes.
const MAX_RESULT: usize = 4000;

/// The model.
#[derive(Debug)]
pub(crate) struct Scripted {
    script: Script,
}

/// Why a script cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read the script {path}; check the path after \"scripted:\"")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no script.
    #[error("the script {path} is not valid: {detail}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong there.
        detail: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    #[serde(default)]
    repeat: bool,
    turn: Vec<Turn>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    when_user_contains: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    calls: Vec<ScriptedCall>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptedCall {
    tool: String,
    #[serde(default)]
    arguments: Arguments,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Arguments {
    Text(String),
    Table(serde_json::Map<String, serde_json::Value>),
}

impl Default for Arguments {
    fn default() -> Self {
        Self::Table(serde_json::Map::new())
    }
}

impl Scripted {
    /// Reads a script.
    ///
    /// # Errors
    /// [`ScriptError`] names the file, the line and what to do.
    pub(crate) fn open(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScriptError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Self::parse(&text).map_err(|detail| ScriptError::Parse {
            path: path.to_path_buf(),
            detail,
        })
    }

    /// The script that says that there is no script.
    ///
    /// # Errors
    /// Never, which a test holds it to.
    pub(crate) fn built_in() -> Result<Self, ScriptError> {
        Self::parse(BUILT_IN).map_err(|detail| ScriptError::Parse {
            path: PathBuf::from("built-in"),
            detail,
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let script: Script = toml::from_str(text).map_err(|error| error.to_string())?;
        if script.turn.is_empty() {
            return Err("a script needs at least one [[turn]]".into());
        }
        Ok(Self { script })
    }

    /// The turn to play after `given` responses to the message `user`.
    fn turn(&self, user: &str, given: usize) -> Option<&Turn> {
        let user = user.to_lowercase();
        let fits = |turn: &&Turn| {
            turn.when_user_contains
                .as_ref()
                .is_some_and(|words| user.contains(&words.to_lowercase()))
        };
        let mut turns: Vec<_> = self.script.turn.iter().filter(fits).collect();
        if turns.is_empty() {
            turns = self
                .script
                .turn
                .iter()
                .filter(|turn| turn.when_user_contains.is_none())
                .collect();
        }
        let index = if self.script.repeat {
            given.checked_rem(turns.len())?
        } else {
            given
        };
        turns.get(index).copied()
    }
}

#[async_trait]
impl Model for Scripted {
    async fn respond(&self, request: Request<'_>, delta: Delta<'_>) -> Result<Response, Unanswered> {
        let input = request.tokens_to_read();
        let asked = request
            .messages
            .iter()
            .rposition(|message| matches!(message, Message::User(_)));
        let since = asked
            .and_then(|at| request.messages.get(at..))
            .unwrap_or_default();
        let user = match since.first() {
            Some(Message::User(text)) => text.as_str(),
            _ => "",
        };
        let given = since
            .iter()
            .filter(|message| matches!(message, Message::Assistant { .. }))
            .count();
        let Some(turn) = self.turn(user, given) else {
            let text = "(The script has no further turn for this message.)".to_owned();
            delta(Piece::Text(&text));
            let output = estimate_tokens(&text);
            return Ok(Response {
                text,
                calls: Vec::new(),
                usage: Usage { input, output },
                stopped: Stopped::Whole,
            });
        };
        let text = turn.text.replace("{{result}}", last_result(since));
        for piece in text.split_inclusive(' ') {
            delta(Piece::Text(piece));
        }
        let calls: Vec<_> = turn
            .calls
            .iter()
            .enumerate()
            .map(|(at, call)| call.proposal(given, at))
            .collect();
        let written: u64 = calls.iter().map(|call| estimate_tokens(&call.arguments)).sum();
        let usage = Usage {
            input,
            output: written + estimate_tokens(&text),
        };
        Ok(Response {
            text,
            calls,
            usage,
            stopped: Stopped::Whole,
        })
    }
}

impl ScriptedCall {
    fn proposal(&self, step: usize, at: usize) -> Proposal {
        let arguments = match &self.arguments {
            Arguments::Text(text) => text.clone(),
            Arguments::Table(table) => serde_json::Value::Object(table.clone()).to_string(),
        };
        let mut provider_id = String::new();
        // writing into a string does not fail
        let _ = write!(provider_id, "script-{step}-{at}");
        Proposal {
            provider_id,
            tool: self.tool.clone(),
            arguments,
        }
    }
}

fn last_result(since: &[Message]) -> &str {
    let last = since.iter().rev().find_map(|message| match message {
        Message::Tool { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let text = last.unwrap_or_default().trim();
    let end = text.floor_char_boundary(MAX_RESULT.min(text.len()));
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;

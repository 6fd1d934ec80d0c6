//! The conversation as providers accept it: it begins with the person, nobody speaks twice in a row, and every call is an
//! object under a name that no provider refuses.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::domain::model::{Call, Message};

/// What stands before an answer that nothing was said before.
const NOTHING_BEFORE: &str = "(The conversation begins with your words.)";

/// What stands between results and the person's next words when the turn ended before the model answered: after results,
/// some providers take the model's words only.
const NOT_ANSWERED: &str = "(The turn ended here.)";

/// What a model is told of a tool that answered nothing: some providers refuse empty texts.
const NO_OUTPUT: &str = "(no output)";

/// Longest piece of arguments that cannot be read which is shown again, in bytes.
const MAX_UNREADABLE: usize = 2000;

/// Longest name of a tool that every provider takes.
const MAX_NAME: usize = 64;

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// By the person, or shown to the model before their words; each text by itself.
    User(Vec<String>),
    /// By the model.
    Assistant {
        /// May be empty if there are calls.
        text: String,
        /// In order.
        calls: Vec<SaidCall>,
    },
    /// What the calls brought, by the calls' ids.
    Results(Vec<(String, String)>),
}

/// A call that the model made before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SaidCall {
    /// Our own id: unique, short, and never missing.
    pub id: String,
    /// The tool's name.
    pub tool: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
}

/// The conversation in this form.
pub(super) fn said(messages: &[Message]) -> Vec<Said> {
    let mut all: Vec<Said> = Vec::with_capacity(messages.len());
    for message in messages {
        match (message, all.last_mut()) {
            (Message::User(text) | Message::Recalled(text), _) if text.trim().is_empty() => {}
            (Message::User(text) | Message::Recalled(text), Some(Said::User(texts))) => {
                texts.push(text.clone());
            }
            (Message::User(text) | Message::Recalled(text), Some(Said::Results(_))) => {
                all.push(Said::Assistant {
                    text: NOT_ANSWERED.to_owned(),
                    calls: Vec::new(),
                });
                all.push(Said::User(vec![text.clone()]));
            }
            (Message::User(text) | Message::Recalled(text), _) => all.push(Said::User(vec![text.clone()])),
            (Message::Assistant { text, calls }, _) if calls.is_empty() && text.trim().is_empty() => {}
            (
                Message::Assistant { text, calls },
                Some(Said::Assistant {
                    text: before,
                    calls: none,
                }),
            ) if none.is_empty() => {
                join(before, text);
                none.extend(calls.iter().map(call));
            }
            (Message::Assistant { text, calls }, last) => {
                if last.is_none() {
                    all.push(Said::User(vec![NOTHING_BEFORE.to_owned()]));
                }
                let calls = calls.iter().map(call).collect();
                all.push(Said::Assistant {
                    text: text.clone(),
                    calls,
                });
            }
            (Message::Tool { call, text, .. }, Some(Said::Results(results))) => {
                results.push((call.to_string(), shown(text)));
            }
            (Message::Tool { call, text, .. }, _) => {
                all.push(Said::Results(vec![(call.to_string(), shown(text))]));
            }
        }
    }
    all
}

fn join(before: &mut String, text: &str) {
    if !before.is_empty() && !text.is_empty() {
        before.push_str("\n\n");
    }
    before.push_str(text);
}

fn shown(text: &str) -> String {
    if text.trim().is_empty() { NO_OUTPUT } else { text }.to_owned()
}

fn call(call: &Call) -> SaidCall {
    SaidCall {
        id: call.id.to_string(),
        tool: name(&call.tool),
        arguments: arguments(&call.arguments),
    }
}

/// A model may have called what cannot even be a tool's name.
fn name(tool: &str) -> String {
    let letters = tool.chars().take(MAX_NAME).map(|letter| {
        if letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-') {
            letter
        } else {
            '_'
        }
    });
    let name: String = letters.collect();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

fn arguments(text: &str) -> Map<String, Value> {
    if text.trim().is_empty() {
        return Map::new();
    }
    serde_json::from_str(text).unwrap_or_else(|_| {
        let end = text.floor_char_boundary(MAX_UNREADABLE.min(text.len()));
        let mut shown = text.get(..end).unwrap_or_default().to_owned();
        if end < text.len() {
            // writing into a string does not fail
            let _ = write!(shown, "… ({} more bytes)", text.len() - end);
        }
        Map::from_iter([("unreadable_arguments".to_owned(), Value::String(shown))])
    })
}

#[cfg(test)]
mod tests {
    use harombe_types::{CallId, SystemClock};
    use serde_json::json;

    use super::*;

    fn user(text: &str) -> Message {
        Message::User(text.into())
    }

    fn assistant(text: &str, calls: &[(CallId, &str, &str)]) -> Message {
        let calls = calls.iter().map(|(id, tool, arguments)| Call {
            id: *id,
            provider_id: "theirs".into(),
            tool: (*tool).into(),
            arguments: (*arguments).into(),
        });
        Message::Assistant {
            text: text.into(),
            calls: calls.collect(),
        }
    }

    #[test]
    fn nobody_speaks_twice_in_a_row_and_the_person_speaks_first() {
        let spoken = said(&[
            assistant("hello", &[]),
            user("a"),
            user(" "),
            user("b"),
            assistant("", &[]),
            assistant("c", &[]),
            assistant("d", &[]),
        ]);
        let plain = |text: &str| Said::Assistant {
            text: text.into(),
            calls: Vec::new(),
        };
        assert_eq!(
            spoken,
            [
                Said::User(vec![NOTHING_BEFORE.into()]),
                plain("hello"),
                Said::User(vec!["a".into(), "b".into()]),
                plain("c\n\nd"),
            ]
        );
    }

    #[test]
    fn calls_keep_our_ids_and_their_results_stand_together() {
        let (one, two) = (CallId::generate(&SystemClock), CallId::generate(&SystemClock));
        let result = |call: CallId, text: &str| Message::Tool {
            call,
            provider_id: String::new(),
            text: text.into(),
        };
        let spoken = said(&[
            user("a"),
            assistant("", &[(one, "t", "{\"x\":1}"), (two, "rm -rf /", "{\"x\":")]),
            result(one, "1"),
            result(two, " "),
            user("b"),
        ]);
        let Said::Assistant { calls, .. } = &spoken[1] else {
            panic!("{spoken:?}")
        };
        assert_eq!(
            (calls[0].id.as_str(), &calls[0].arguments["x"]),
            (one.to_string().as_str(), &json!(1))
        );
        assert_eq!(calls[1].tool, "rm_-rf__");
        assert_eq!(calls[1].arguments["unreadable_arguments"], json!("{\"x\":"));
        assert_eq!(
            spoken[2],
            Said::Results(vec![
                (one.to_string(), "1".into()),
                (two.to_string(), NO_OUTPUT.into())
            ])
        );
        let ended = Said::Assistant {
            text: NOT_ANSWERED.into(),
            calls: Vec::new(),
        };
        assert_eq!(spoken[3..], [ended, Said::User(vec!["b".into()])]);
    }
}

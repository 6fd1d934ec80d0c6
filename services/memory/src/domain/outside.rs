//! Whether a turn's messages show that its model was shown what may be anybody's words: where its runtime has not said.

use std::collections::HashSet;

use harombe_proto::memory::v1::{Author, Message};

/// Tools whose answers hold nobody's words.
const OWN: [&str; 2] = ["memory_save", "memory_forget"];

/// Whether there is a tool's answer among the messages, or one of nobody knows which tool. What was recalled is no message.
pub(crate) fn shows_outside(messages: &[Message]) -> bool {
    let calls = messages.iter().flat_map(|message| &message.tool_calls);
    let own: HashSet<&str> = calls
        .filter(|call| OWN.contains(&call.tool.as_str()))
        .map(|call| call.call_id.as_str())
        .collect();
    let mut answers = messages.iter().filter(|message| message.author() == Author::Tool);
    answers.any(|answer| !own.contains(answer.call_id.as_str()))
}

/// A tool's answer, or a model's, as it is kept: for tests of where it is.
#[cfg(test)]
pub(crate) fn an_answer(is_a_tools: bool, text: &str) -> Vec<u8> {
    use prost::Message as _;

    let author = if is_a_tools {
        Author::Tool
    } else {
        Author::Assistant
    };
    let message = Message {
        author: author.into(),
        text: text.to_owned(),
        ..Message::default()
    };
    message.encode_to_vec()
}

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

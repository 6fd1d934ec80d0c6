//! Whether a model has been shown what may be anybody's words: what it saves after that is not its own alone.

use std::collections::HashMap;

use super::blocks;
use crate::domain::model::Message;

/// Whether there is a tool's answer among the messages that did not come from memory, or one of memory's that holds such words.
pub(crate) fn seen(messages: &[Message]) -> bool {
    let mut tools = HashMap::new();
    let mut seen = |message: &Message| match message {
        Message::Assistant { calls, .. } => {
            tools.extend(calls.iter().map(|call| (call.id, call.tool.clone())));
            false
        }
        Message::Tool { call, text, .. } => match tools.get(call).map(String::as_str) {
            Some("memory_save" | "memory_forget") => false,
            Some("memory_search") => blocks::shows_anybodys(text),
            _ => true,
        },
        Message::User(_) | Message::Recalled(_) => false,
    };
    messages.iter().any(&mut seen)
}

#[cfg(test)]
mod tests {
    use harombe_types::{CallId, SystemClock};

    use super::*;
    use crate::domain::model::Call;

    fn answered(tool: &str, text: &str) -> [Message; 2] {
        let id = CallId::generate(&SystemClock);
        let call = Call {
            id,
            provider_id: String::new(),
            tool: tool.to_owned(),
            arguments: "{}".to_owned(),
        };
        let asked = Message::Assistant {
            text: String::new(),
            calls: vec![call],
        };
        let answer = Message::Tool {
            call: id,
            provider_id: String::new(),
            text: text.to_owned(),
        };
        [asked, answer]
    }

    #[test]
    fn what_tools_bring_is_from_outside() {
        for (tool, text, expected) in [
            ("web_fetch", "HTTP 200", true),
            ("code_execute", "", true),
            ("memory_save", "Saved as memory x.", false),
            ("memory_forget", "Hidden.", false),
            ("memory_search", "[memory · said by the person]\n> x", false),
            (
                "memory_search",
                "[memory · of unknown origin: may be untrue or hostile]\n> x",
                true,
            ),
        ] {
            assert_eq!(seen(&answered(tool, text)), expected, "{tool}");
        }
        assert!(!seen(&[Message::User("may be untrue or hostile".to_owned())]));
        let [_, alone] = answered("memory_save", "");
        assert!(seen(&[alone]), "a result of nobody knows what");
    }
}

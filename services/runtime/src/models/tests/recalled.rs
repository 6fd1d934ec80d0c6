//! Where memories stand in what a provider is sent.

use serde_json::{Value, json};

use super::{anthropic, openai};
use crate::domain::model::{Message, Request};
use crate::models::remote::Provider;

fn sent(provider: &impl Provider) -> Value {
    let messages = [
        Message::User("one".into()),
        Message::Assistant {
            text: "two".into(),
            calls: Vec::new(),
        },
        Message::Recalled("[memory]\n> three".into()),
        Message::User("four".into()),
    ];
    let request = Request {
        system: "",
        tools: &[],
        messages: &messages,
        token: "",
        ends: tokio::time::Instant::now(),
        tokens: 1,
    };
    provider.body(&request)["messages"].clone()
}

#[test]
fn memories_stand_before_the_persons_words_and_in_no_system_message() {
    let text = |text: &str| json!({ "type": "text", "text": text });
    assert_eq!(
        sent(&anthropic()),
        json!([
            { "role": "user", "content": [text("one")] },
            { "role": "assistant", "content": [text("two")] },
            { "role": "user", "content": [text("[memory]\n> three"), text("four")] },
        ])
    );
    assert_eq!(
        sent(&openai()),
        json!([
            { "role": "user", "content": "one" },
            { "role": "assistant", "content": "two" },
            { "role": "user", "content": "[memory]\n> three\n\nfour" },
        ])
    );
}

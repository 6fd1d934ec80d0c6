//! Where memories stand in what a provider is sent.

use serde_json::{Value, json};

use super::{anthropic, openai};
use crate::domain::model::{Message, Request};
use crate::models::remote::Provider;

fn body(provider: &impl Provider, most: Option<u32>) -> Value {
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
        most,
    };
    provider.body(&request)
}

fn sent(provider: &impl Provider) -> Value {
    body(provider, None)["messages"].clone()
}

#[test]
fn a_response_may_be_asked_to_be_shorter_and_never_longer() {
    let limit = |provider: &dyn Fn(Option<u32>) -> Value, most| provider(most)["max_tokens"].clone();
    let far = |most| body(&anthropic(), most);
    assert_eq!(limit(&far, None), json!(100));
    assert_eq!(limit(&far, Some(50)), json!(50));
    assert_eq!(limit(&far, Some(200)), json!(100));
    let near = |most| body(&openai(), most);
    assert_eq!(limit(&near, None), Value::Null);
    assert_eq!(limit(&near, Some(50)), json!(50));
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

use serde_json::json;

use super::*;

fn parse(body: &Value) -> Result<Asked, OpenAiError> {
    Asked::parse(body.to_string().as_bytes())
}

#[test]
fn a_conversation_is_taken_apart() {
    let asked = parse(&json!({
        "model": "default",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Good day", "refusal": null, "tool_calls": []},
            {"role": "developer", "content": [{"type": "text", "text": "Be short."}]},
            {"role": "user", "content": [{"type": "text", "text": "How "}, {"type": "text", "text": "are you?"}], "name": "x"},
        ],
        "stream": true,
        "stream_options": {"include_usage": true},
        "temperature": 0.2,
        "n": 1,
        "tools": [],
        "tool_choice": "auto",
        "response_format": {"type": "text"},
        "logprobs": false,
        "max_tokens": null,
    }))
    .unwrap();
    assert_eq!(
        (asked.model.as_str(), asked.text.as_str()),
        ("default", "How are you?")
    );
    assert_eq!(asked.instructions, "Be kind.\n\nBe short.");
    let history: Vec<_> = asked
        .history
        .iter()
        .map(|message| (message.role(), message.text.as_str()))
        .collect();
    assert_eq!(
        history,
        [(ClaimedRole::User, "Hello"), (ClaimedRole::Assistant, "Good day")]
    );
    assert!(asked.stream && asked.include_usage);
}

fn check(with: &Value, param: &str, says: &str) {
    let mut body = json!({"model": "default", "messages": [{"role": "user", "content": "hello"}]});
    for (name, value) in with.as_object().unwrap() {
        body[name] = value.clone();
    }
    let error = parse(&body).unwrap_err().json();
    let message = error["error"]["message"].as_str().unwrap();
    assert_eq!(error["error"]["param"], param, "{with}: {message}");
    assert_eq!(error["error"]["type"], "invalid_request_error");
    assert!(message.contains(says), "{with}: {message}");
}

#[test]
fn what_would_change_the_answer_is_refused() {
    check(
        &json!({"tools": [{"type": "function"}]}),
        "tools",
        "an agent has its own tools",
    );
    check(&json!({"tool_choice": "required"}), "tool_choice", "own tools");
    check(&json!({"functions": [{}]}), "functions", "own tools");
    check(&json!({"n": 2}), "n", "one answer");
    check(&json!({"max_tokens": 5}), "max_tokens", "budget");
    check(
        &json!({"max_completion_tokens": 5}),
        "max_completion_tokens",
        "budget",
    );
    check(&json!({"stop": "x"}), "stop", "leave stop out");
    check(&json!({"logprobs": true}), "logprobs", "leave");
    check(
        &json!({"response_format": {"type": "json_object"}}),
        "response_format",
        "text",
    );
    check(&json!({"modalities": ["audio"]}), "modalities", "text");
    check(&json!({"colour": "red"}), "body", "\"colour\" is not known");
    check(&json!({"stream": "yes"}), "stream", "true or false");
    check(&json!({"model": ""}), "model", "name of an agent");
    check(&json!({"model": 7}), "model", "name of an agent");
    check(&json!({"messages": {}}), "messages", "list");
}

#[test]
fn messages_that_cannot_be_meant_are_refused() {
    for (messages, says) in [
        (json!([]), "the last message must be the user's"),
        (
            json!([{"role": "assistant", "content": "x"}]),
            "the last message must be the user's",
        ),
        (json!([{"role": "user", "content": ""}]), "some text"),
        (json!([{"role": "user"}]), "some text"),
        (json!(["x"]), "an object"),
        (json!([{"role": "judge", "content": "x"}]), "role"),
        (json!([{"content": "x"}]), "role"),
        (json!([{"role": "user", "content": 7}]), "content must be text"),
        (
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]),
            "not text",
        ),
        (json!([{"role": "tool", "content": "x"}]), "a tool's result"),
        (
            json!([{"role": "assistant", "tool_calls": [{}]}, {"role": "user", "content": "x"}]),
            "tool calls",
        ),
    ] {
        check(&json!({"messages": messages}), "messages", says);
    }
    for body in ["", "{", "[]", "7"] {
        assert!(Asked::parse(body.as_bytes()).is_err(), "{body}");
    }
}

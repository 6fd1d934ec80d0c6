//! Models of providers, through the real egress-proxy: what they are asked, what comes of their streams, and what of their
//! faults.

use std::time::Duration;

use harombe_proto::runtime::v1::RunRequest;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{ClaimedMessage, ClaimedRole, RunEvent, RunFailed, StopReason, ToolOutcome};
use harombe_runtime::{Config, Provider};
use serde_json::{Value, json};

use crate::provider::{KEY, Model, Reply, Rig};
use crate::world::{answer, collect, end, finished_tools, kinds};

const ANTHROPIC: &str = include_str!("../../src/models/tests/anthropic_tools.sse");
const OPENAI: &str = include_str!("../../src/models/tests/openai_tools.sse");

fn said(provider: Provider, text: &str, stop: &str) -> String {
    let events = match provider {
        Provider::Anthropic => vec![
            json!({ "type": "message_start", "message": { "usage": { "input_tokens": 10, "output_tokens": 1 } } }),
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } }),
            json!({ "type": "message_delta", "delta": { "stop_reason": stop }, "usage": { "output_tokens": 5 } }),
            json!({ "type": "message_stop" }),
        ],
        Provider::Openai => vec![
            json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }),
            json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": stop }] }),
            json!({ "choices": [], "usage": { "prompt_tokens": 10, "completion_tokens": 5 } }),
        ],
    };
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

async fn rig(provider: Provider, model: &Model) -> Rig {
    Rig::new(provider, model, |_, _| ()).await
}

fn once(config: &mut Config) {
    config.models.get_mut("m").unwrap().attempts = 1;
}

fn failed(events: &[RunEvent]) -> RunFailed {
    match end(events) {
        Event::RunFailed(failed) => failed,
        other => panic!("{other:?}"),
    }
}

fn stopped(events: &[RunEvent]) -> StopReason {
    match end(events) {
        Event::RunFinished(finished) => finished.stop_reason(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn parallel_calls_are_performed_and_told_to_an_anthropic_model() {
    let replies = [
        Reply::Stream(ANTHROPIC.to_owned(), 7),
        Reply::Stream(said(Provider::Anthropic, "Done.", "end_turn"), 100_000),
    ];
    let model = Model::start(replies).await;
    let rig = rig(Provider::Anthropic, &model).await;
    rig.world
        .sandbox
        .files
        .lock()
        .insert("a/ü.txt".into(), b"old words".to_vec());
    let events = rig.node.say(&rig.world, "look").await;
    assert_eq!(answer(&events), "Done.");
    let Event::RunStarted(started) = events[0].event.clone().unwrap() else {
        panic!("{events:?}")
    };
    assert_eq!(started.model, "anthropic:test-model");
    let Event::RunFinished(finished) = end(&events) else {
        panic!("{events:?}")
    };
    let usage = finished.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (50 + 10, 89 + 5));

    let asked = model.asked();
    assert!(asked[0].head.starts_with("post /base/v1/messages http/1.1"));
    assert!(asked[0].head.contains("anthropic-version: 2023-06-01"));
    assert!(asked[0].head.contains(&format!("authorization: bearer {KEY}")));
    let body = &asked[0].body;
    assert_eq!(
        (&body["model"], &body["stream"], &body["max_tokens"]),
        (&json!("test-model"), &json!(true), &json!(8192))
    );
    assert!(body["system"].as_str().unwrap().contains("careful assistant"));
    assert_eq!(
        body["messages"],
        json!([{ "role": "user", "content": [{ "type": "text", "text": "look" }] }])
    );
    let tools: Vec<_> = body["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| {
            (
                tool["name"].as_str().unwrap(),
                tool["input_schema"]["type"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(tools.contains(&("file_read", "object")), "{tools:?}");
    assert!(!tools.iter().any(|(name, _)| *name == "web_search"));

    let messages = asked[1].body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    let (calls, results) = (&messages[1]["content"], &messages[2]["content"]);
    assert_eq!(calls[0]["text"], "I will look – grüß dich 🦀.");
    assert_eq!(calls[1]["input"], json!({ "path": "a/ü.txt" }));
    assert_eq!(calls[2]["input"], json!({}));
    for (call, result) in [(1, 0), (2, 1)] {
        assert_eq!(calls[call]["id"], results[result]["tool_use_id"]);
        assert_eq!(results[result]["type"], "tool_result");
    }
    assert_eq!(results[0]["content"], "old words");
}

#[tokio::test]
async fn parallel_calls_are_performed_and_told_to_an_openai_model() {
    let replies = [
        Reply::Stream(OPENAI.to_owned(), 7),
        Reply::Stream(said(Provider::Openai, "Done.", "stop"), 100_000),
    ];
    let model = Model::start(replies).await;
    let edit = |config: &mut Config, _: &mut _| {
        let model = config.models.get_mut("m").unwrap();
        model.max_output_tokens = Some(77);
        model.temperature = Some(0.5.try_into().unwrap());
    };
    let rig = Rig::new(Provider::Openai, &model, edit).await;
    rig.world
        .sandbox
        .files
        .lock()
        .insert("a/ü.txt".into(), b"old words".to_vec());
    let events = rig.node.say(&rig.world, "look").await;
    assert_eq!(answer(&events), "Done.");
    let asked = model.asked();
    assert!(asked[0].head.starts_with("post /base/chat/completions http/1.1"));
    let body = &asked[0].body;
    assert_eq!(
        (&body["max_tokens"], &body["temperature"], &body["stream_options"]),
        (&json!(77), &json!(0.5), &json!({ "include_usage": true }))
    );
    assert_eq!(body["tools"][0]["type"], "function");
    let messages = asked[1].body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool"]);
    let calls = &messages[2]["tool_calls"];
    assert_eq!(calls[0]["function"]["arguments"], "{\"path\":\"a/ü.txt\"}");
    assert_eq!(calls[1]["function"]["arguments"], "{}");
    assert_eq!(calls[0]["id"], messages[3]["tool_call_id"]);
    assert_eq!(calls[1]["id"], messages[4]["tool_call_id"]);
    assert_eq!(messages[3]["content"], "old words");
}

#[tokio::test]
async fn a_broken_stream_is_superseded_by_the_next_attempt() {
    let replies = [
        Reply::Broken(ANTHROPIC[..ANTHROPIC.find("event: message_delta").unwrap()].to_owned()),
        Reply::Status(
            "529 Overloaded",
            "retry-after-ms: 20\r\n",
            "{\"error\":{\"message\":\"Overloaded\"}}",
        ),
        Reply::Stream(said(Provider::Anthropic, "At last.", "end_turn"), 3),
    ];
    let model = Model::start(replies).await;
    let rig = rig(Provider::Anthropic, &model).await;
    let events = rig.node.say(&rig.world, "hi").await;
    assert_eq!(answer(&events), "At last.");
    assert_eq!(
        kinds(&events),
        ["started", "context", "text", "usage", "finished"],
        "no call of the broken stream was made"
    );
    let mut text = String::new();
    for event in &events {
        if let Some(Event::TextDelta(delta)) = &event.event {
            // a delta that begins where nothing was said begins anew
            text.truncate(usize::try_from(delta.offset).unwrap());
            text.push_str(&delta.text);
        }
    }
    assert_eq!(text, "At last.");
    let Event::RunFinished(finished) = end(&events) else {
        panic!("{events:?}")
    };
    assert_eq!(
        finished.usage.unwrap().input_tokens,
        50 + 10,
        "what was lost was paid for too"
    );
    let asked = model.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].body, asked[2].body);
}

#[tokio::test]
async fn a_refused_request_fails_the_run_in_words_for_a_person() {
    let refusals = [
        (
            Reply::Status(
                "401 Unauthorized",
                "",
                "{\"error\":{\"message\":\"invalid x-api-key\"}}",
            ),
            "CREDENTIAL_UNAVAILABLE",
            "invalid x-api-key",
        ),
        (
            Reply::Status(
                "400 Bad Request",
                "",
                "{\"error\":{\"message\":\"max_tokens is too large\"}}",
            ),
            "UPSTREAM_FAILED",
            "max_tokens is too large",
        ),
        (
            Reply::Status("200 OK", "Content-Type: application/json\r\n", "{}"),
            "UPSTREAM_FAILED",
            "stream of events",
        ),
        (
            Reply::Silent(said(Provider::Openai, "x", "stop")[..30].to_owned()),
            "UPSTREAM_FAILED",
            "silent",
        ),
        (Reply::Nothing, "UPSTREAM_FAILED", "begin to answer"),
        (
            Reply::Stream("data: {\"error\":{\"message\":\"gone\"}}\n\n".to_owned(), 10),
            "UPSTREAM_FAILED",
            "gone",
        ),
        (
            Reply::Stream(said(Provider::Openai, "", "length"), 10),
            "MODEL_INVALID",
            "max_output_tokens",
        ),
        (
            Reply::Stream(said(Provider::Openai, "half", "content_filter"), 10),
            "MODEL_REFUSED",
            "content",
        ),
    ];
    for (reply, reason, words) in refusals {
        let model = Model::start([reply]).await;
        let edit = |config: &mut Config, _: &mut _| {
            once(config);
            let model = config.models.get_mut("m").unwrap();
            model.idle = Duration::from_secs(1).into();
            model.first_byte = Duration::from_secs(1).into();
        };
        let rig = Rig::new(Provider::Openai, &model, edit).await;
        let failed = failed(&rig.node.say(&rig.world, "hi").await);
        assert_eq!(failed.reason, reason, "{}", failed.message);
        assert!(failed.message.contains(words), "{} lacks {words}", failed.message);
        assert!(!failed.message.contains(KEY));
        assert_eq!(model.asked().len(), 1);
    }
}

#[tokio::test]
async fn what_the_proxy_refuses_is_told_with_its_reason() {
    let model = Model::start([]).await;
    let edit = |_: &mut Config, upstream: &mut harombe_egress_proxy::config::Upstream| {
        upstream.credential = Some("no-such-secret".to_owned());
    };
    let rig = Rig::new(Provider::Openai, &model, edit).await;
    let events = rig.node.say(&rig.world, "hi").await;
    assert_eq!(failed(&events).reason, "CREDENTIAL_UNAVAILABLE");
    let edit = |config: &mut Config, _: &mut _| {
        config.models.get_mut("m").unwrap().upstream = "nowhere".to_owned();
    };
    let rig = Rig::new(Provider::Openai, &model, edit).await;
    let events = rig.node.say(&rig.world, "hi").await;
    assert_eq!(failed(&events).reason, "EGRESS_DENIED");
    assert!(model.asked().is_empty());
}

#[tokio::test]
async fn an_answer_that_was_cut_says_so() {
    let model = Model::start([Reply::Stream(said(Provider::Openai, "Half an ans", "length"), 9)]).await;
    let rig = rig(Provider::Openai, &model).await;
    let events = rig.node.say(&rig.world, "hi").await;
    assert_eq!(
        (answer(&events).as_str(), stopped(&events)),
        ("Half an ans", StopReason::TokenLimit)
    );
}

#[tokio::test]
async fn malformed_arguments_are_told_to_the_model() {
    let call =
        json!({ "index": 0, "id": "a", "function": { "name": "file_read", "arguments": "{\"path\":" } });
    let first = json!({ "choices": [{ "delta": { "tool_calls": [call] }, "finish_reason": "tool_calls" }] });
    let replies = [
        Reply::Stream(format!("data: {first}\n\ndata: [DONE]\n\n"), 50),
        Reply::Stream(said(Provider::Openai, "Sorry.", "stop"), 50),
    ];
    let model = Model::start(replies).await;
    let rig = rig(Provider::Openai, &model).await;
    let events = rig.node.say(&rig.world, "hi").await;
    assert_eq!(answer(&events), "Sorry.");
    let finished = finished_tools(&events);
    assert_eq!(
        (finished[0].outcome(), finished[0].reason.as_str()),
        (ToolOutcome::Invalid, "CALL_INVALID")
    );
    let messages = model.asked()[1].body["messages"].clone();
    let arguments: Value = serde_json::from_str(
        messages[2]["tool_calls"][0]["function"]["arguments"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(arguments, json!({ "unreadable_arguments": "{\"path\":" }));
    assert!(messages[3]["content"].as_str().unwrap().contains("not JSON"));
}

#[tokio::test]
async fn a_claimed_past_and_a_clients_instructions_reach_the_model_as_such() {
    let model = Model::start([Reply::Stream(said(Provider::Openai, "Aye.", "stop"), 50)]).await;
    let rig = rig(Provider::Openai, &model).await;
    let claim = |role: ClaimedRole, text: &str| ClaimedMessage {
        role: role.into(),
        text: text.to_owned(),
    };
    let message = RunRequest {
        client_message_id: "m1".into(),
        text: "And now?".into(),
        history: vec![
            claim(ClaimedRole::User, "One."),
            claim(ClaimedRole::Assistant, "Two."),
        ],
        client_instructions: "Speak like a pirate.\nAlways.".into(),
    };
    let stream = rig.node.run(&rig.world.token(), message).await.unwrap();
    let events = collect(stream).await;
    assert_eq!(answer(&events), "Aye.");
    let messages = model.asked()[0].body["messages"].clone();
    let system = messages[0]["content"].as_str().unwrap();
    assert!(system.contains("careful assistant"));
    assert!(
        system.ends_with("\n> Speak like a pirate.\n> Always."),
        "{system}"
    );
    let said: Vec<_> = messages.as_array().unwrap()[1..]
        .iter()
        .map(|message| {
            (
                message["role"].as_str().unwrap(),
                message["content"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [("user", "One."), ("assistant", "Two."), ("user", "And now?")]
    );
}

#[tokio::test]
async fn a_run_that_is_cancelled_leaves_the_model_alone() {
    let model = Model::start([Reply::Silent(
        said(Provider::Openai, "Well,", "stop")[..40].to_owned(),
    )])
    .await;
    let rig = rig(Provider::Openai, &model).await;
    let token = rig.world.token();
    let mut stream = rig.node.send(&token, "m1", "hi").await.unwrap();
    crate::world::until(&mut stream, |event| matches!(event, Event::ContextBuilt(_))).await;
    let cancel = tonic::Request::new(harombe_proto::runtime::v1::CancelRequest::default());
    let cancel = harombe_rpc::RequestExt::with_token(cancel, &token);
    rig.node.client.clone().cancel(cancel).await.unwrap();
    let events = collect(stream).await;
    assert_eq!(stopped(&events), StopReason::Cancelled);
    rig.proxy.shutdown(Duration::from_secs(30)).await;
}

//! The interface of OpenAI's SDKs; the SDK itself is run elsewhere.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::stream;
use harombe_proto::types::v1::ClaimedRole;
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::{Value, json};
use tonic::body::Body;

use crate::web::{Caller, whole};
use crate::world::World;

const PATH: &str = "/v1/chat/completions";

fn asks(text: &str) -> Value {
    json!({"model": "default", "messages": [{"role": "user", "content": text}]})
}

/// The chunks of a streamed completion, and whether it was ended properly.
async fn streamed(caller: &Caller, mut body: Value) -> (Vec<Value>, bool) {
    body["stream"] = json!(true);
    let answer = caller
        .door
        .answer(caller.request("POST", PATH, &body.to_string()))
        .await;
    let (status, headers, body) = whole(answer).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    let text = String::from_utf8(body.to_vec()).unwrap();
    let data: Vec<_> = text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .collect();
    let chunks = data
        .iter()
        .filter(|data| **data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap());
    (chunks.collect(), data.last() == Some(&"[DONE]"))
}

#[tokio::test]
async fn agents_are_models() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    let (_, models) = caller.ask("GET", "/v1/models", "").await;
    let names: Vec<_> = models["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["default", "analyst"]);
    assert_eq!(
        caller.ask("GET", "/v1/models/analyst", "").await.1["object"],
        "model"
    );
    let (status, error) = caller.ask("GET", "/v1/models/nobody", "").await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (404, &json!("model_not_found"))
    );
    assert_eq!(caller.ask("POST", "/v1/models", "{}").await.0, 405);
    assert_eq!(caller.ask("GET", PATH, "").await.0, 405);
}

#[tokio::test]
async fn nothing_is_read_of_a_stranger() {
    let world = World::new().await;
    let read = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&read);
    let body = stream::once(async move {
        note.store(true, Ordering::SeqCst);
        Ok::<_, Infallible>(Frame::data(Bytes::from(asks("hello").to_string())))
    });
    let post = Request::post(PATH).header("content-type", "application/json");
    let post = post.body(Body::new(StreamBody::new(body))).unwrap();
    let (status, _, body) = whole(world.gateway.door().answer(post).await).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (status, &body["error"]["type"]),
        (401, &json!("authentication_error"))
    );
    assert!(!read.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_answer_in_one_piece() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    let answer = caller
        .door
        .answer(caller.request("POST", PATH, &asks("hello").to_string()))
        .await;
    let (status, headers, body) = whole(answer).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "default");
    assert_eq!(
        body["choices"][0]["message"],
        json!({"role": "assistant", "content": "done", "refusal": null})
    );
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        body["usage"],
        json!({"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15})
    );
    let run = world.runtime.last_seen().1;
    assert_eq!(body["id"], format!("chatcmpl-{}", run.run));
    assert_eq!(body["harombe"]["run_id"], run.run.to_string());
    assert_eq!(headers["x-harombe-session"], run.session.to_string());
}

#[tokio::test]
async fn an_answer_in_chunks() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    let mut body = asks("tool");
    body["stream_options"] = json!({"include_usage": true});
    let (chunks, done) = streamed(&caller, body).await;
    assert!(done);
    assert_eq!(
        chunks[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": ""})
    );
    let said: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said, "done");
    let tool = chunks
        .iter()
        .find(|chunk| chunk["harombe"]["tool_call_proposed"].is_object())
        .unwrap();
    assert_eq!(tool["choices"][0]["delta"], json!({}));
    assert_eq!(tool["harombe"]["tool_call_proposed"]["tool"], "code_execute");
    let [.., last, usage] = &chunks[..] else {
        panic!("{chunks:?}")
    };
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        (&usage["choices"], &usage["usage"]["total_tokens"]),
        (&json!([]), &json!(15))
    );
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["object"] == "chat.completion.chunk")
    );
}

#[tokio::test]
async fn what_was_said_before_is_claimed_and_a_system_message_is_the_clients_own() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    let body = json!({"model": "default", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "good day"},
        {"role": "user", "content": "and now?"},
    ]});
    let answer = caller
        .door
        .answer(caller.request("POST", PATH, &body.to_string()))
        .await;
    let session = answer.headers()["x-harombe-session"].clone();
    assert_eq!(answer.status(), 200);
    drop(whole(answer).await);
    {
        let requests = world.runtime.requests.lock();
        let claimed: Vec<_> = requests[0]
            .history
            .iter()
            .map(|message| (message.role(), message.text.as_str()))
            .collect();
        assert_eq!(
            claimed,
            [(ClaimedRole::User, "hello"), (ClaimedRole::Assistant, "good day")]
        );
        assert_eq!(
            (
                requests[0].text.as_str(),
                requests[0].client_instructions.as_str()
            ),
            ("and now?", "Be brief.")
        );
    }
    // In a session that goes on only the last message is new.
    let mut again = caller.request("POST", PATH, &body.to_string());
    again.headers_mut().insert("x-harombe-session", session.clone());
    let answer = caller.door.answer(again).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-harombe-session"]),
        (200, &session)
    );
    drop(whole(answer).await);
    let requests = world.runtime.requests.lock();
    assert!(requests[1].history.is_empty());
    assert_eq!(requests[1].text, "and now?");
    let seen = world.runtime.seen.lock();
    assert_eq!(seen[0].1.session, seen[1].1.session);
    assert_ne!(seen[0].1.run, seen[1].1.run);
}

#[tokio::test]
async fn a_request_that_is_sent_again_joins_its_run() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    let ask = async |name: &str, body: &Value| {
        let mut request = caller.request("POST", PATH, &body.to_string());
        request
            .headers_mut()
            .insert("idempotency-key", name.parse().unwrap());
        let answer = caller.door.answer(request).await;
        let (status, headers, _) = whole(answer).await;
        (status, headers.get("x-harombe-session").cloned())
    };
    let first = ask("a", &asks("hello")).await;
    assert_eq!(first.0, 200);
    assert_eq!(ask("a", &asks("hello")).await, first);
    {
        let seen = world.runtime.seen.lock();
        assert_eq!(seen[0].1.session, seen[1].1.session);
        let requests = world.runtime.requests.lock();
        assert_eq!(requests[0].client_message_id, requests[1].client_message_id);
    }
    let (status, other) = ask("b", &asks("hello")).await;
    assert_eq!(status, 200);
    assert_ne!(other, first.1);
    let mut analyst = asks("hello");
    analyst["model"] = json!("analyst");
    let (status, analyst) = ask("a", &analyst).await;
    assert_eq!(status, 200);
    assert_ne!(analyst, first.1);
}

#[tokio::test]
async fn sessions_that_do_not_fit_are_refused() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    let (_, session) = caller
        .ask("POST", "/v1/sessions", r#"{"agent": "analyst"}"#)
        .await;
    for (session, expected) in [
        (session["session_id"].as_str().unwrap(), 400),
        ("x", 400),
        ("01890000-0000-7000-8000-000000000000", 404),
    ] {
        let mut request = caller.request("POST", PATH, &asks("hello").to_string());
        request
            .headers_mut()
            .insert("x-harombe-session", session.parse().unwrap());
        let (status, _, body) = whole(caller.door.answer(request).await).await;
        let error: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, expected, "{error}");
    }
}

#[tokio::test]
async fn refusals_have_the_shape_that_sdks_know() {
    let world = World::new().await;
    let caller = Caller::new(&world).await;
    let with = |name: &str, value: Value| {
        let mut body = asks("hello");
        body[name] = value;
        body.to_string()
    };
    let (status, error) = caller
        .ask("POST", PATH, &with("tools", json!([{"type": "function"}])))
        .await;
    assert_eq!(status, 400);
    assert_eq!(
        (&error["error"]["type"], &error["error"]["param"]),
        (&json!("invalid_request_error"), &json!("tools"))
    );
    let (status, error) = caller.ask("POST", PATH, &with("model", json!("nobody"))).await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (404, &json!("model_not_found"))
    );
    let (status, error) = caller.ask("POST", PATH, &asks("refuse").to_string()).await;
    assert_eq!((status, &error["error"]["code"]), (429, &json!("MODEL_REFUSED")));

    // What a run did is done: it is not begun again by itself.
    let broken = caller.request("POST", PATH, &asks("break").to_string());
    let (status, headers, body) = whole(caller.door.answer(broken).await).await;
    let error: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (status, &headers["x-should-retry"]),
        (500, &"false".parse().unwrap())
    );
    assert_eq!(error["error"]["code"], "UPSTREAM_FAILED");
    let (chunks, done) = streamed(&caller, asks("break")).await;
    assert!(!done);
    assert_eq!(chunks.last().unwrap()["error"]["code"], "UPSTREAM_FAILED");
}

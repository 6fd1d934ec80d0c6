use serde_json::json;

use crate::toy::{ask, bytes, json, request, rest};

#[tokio::test]
async fn path_query_and_body_become_one_message() {
    let (status, session) = ask("POST", "/v1/sessions", r#"{"session_id": "s", "agent": "a"}"#).await;
    assert_eq!(
        (status, &session["session_id"], &session["agent"]),
        (200, &json!("s"), &json!("a"))
    );
    // Fields that are zero are there too, and lowerCamelCase is understood.
    assert_eq!(session["active_run_id"], "");
    let (_, session) = ask("POST", "/v1/sessions", r#"{"sessionId": "s"}"#).await;
    assert_eq!(session["session_id"], "s");

    let (_, session) = ask("GET", "/v1/sessions/a%20b%2Fc", "").await;
    assert_eq!(session["session_id"], "a b/c");
    // More than 53 bits are whole.
    assert_eq!(session["turns"], "9007199254740993");

    let (_, listed) = ask("GET", "/v1/sessions?limit=7&after_session_id=x%26y", "").await;
    assert_eq!(
        (
            &listed["sessions"][0]["turns"],
            &listed["sessions"][0]["session_id"]
        ),
        (&json!("7"), &json!("x&y"))
    );
    let (_, listed) = ask("GET", "/v1/sessions?afterSessionId=z", "").await;
    assert_eq!(listed["sessions"][0]["session_id"], "z");

    let (_, run) = ask("GET", "/v1/runs/7", "").await;
    assert_eq!(run["state"], "RUN_STATE_CANCELLED");
    assert_eq!(ask("POST", "/v1/runs/7:cancel", "").await, (200, json!({})));
    assert_eq!(ask("POST", "/v1/runs/7:cancel", "{}").await, (200, json!({})));
    assert_eq!(ask("DELETE", "/v1/sessions/7", "").await, (200, json!({})));
}

#[tokio::test]
async fn the_callers_own_headers_reach_the_service() {
    let (rest, _) = rest();
    let mut create = request("POST", "/v1/sessions", "{}");
    create
        .headers_mut()
        .insert("authorization", "Bearer hrb_1".parse().unwrap());
    create.headers_mut().insert("cookie", "no".parse().unwrap());
    let (_, session) = json(rest.answer(create).await).await;
    assert_eq!(session["agent"], "Bearer hrb_1");
}

async fn check(method: &str, path: &str, body: &str, expected: u16, says: &str) {
    let (status, error) = ask(method, path, body).await;
    let message = error["error"]["message"].as_str().unwrap();
    assert_eq!(status, expected, "{method} {path} {body}: {message}");
    assert_eq!(error["error"]["code"], expected);
    assert!(message.contains(says), "{method} {path} {body}: {message}");
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    check("GET", "/v1/nothing", "", 404, "/openapi.json").await;
    check("GET", "/", "", 404, "/openapi.json").await;
    check("GET", "/v1/sessions/", "", 404, "/openapi.json").await;
    check("GET", "/v1/sessions/%ff", "", 400, "UTF-8").await;
    check("PATCH", "/v1/sessions", "", 405, "GET, POST").await;
    check("GET", "/v1/runs/7:cancel", "", 405, "POST").await;
    check("POST", "/v1/sessions", "{", 400, "EOF").await;
    check("POST", "/v1/sessions", "{} x", 400, "trailing").await;
    check(
        "POST",
        "/v1/sessions",
        "[]",
        400,
        "send an object with session_id, agent",
    )
    .await;
    check("POST", "/v1/sessions", r#"{"agnet": "a"}"#, 400, "agnet").await;
    check("POST", "/v1/sessions", r#"{"agent": 7}"#, 400, "expected").await;
    check("POST", "/v1/sessions?agent=a", "{}", 400, "has none").await;
    check(
        "POST",
        "/v1/sessions/s/messages",
        r#"{"session_id": "t", "text": "x"}"#,
        400,
        "in the path",
    )
    .await;
    check(
        "GET",
        "/v1/sessions?limit=many",
        "",
        400,
        "limit in the query must be a whole number",
    )
    .await;
    check("GET", "/v1/sessions?limit=-1", "", 400, "limit").await;
    check("GET", "/v1/sessions?limit=1&limit=2", "", 400, "more than once").await;
    check(
        "GET",
        "/v1/sessions?colour=red",
        "",
        400,
        "there are limit, after_session_id",
    )
    .await;
    check("GET", "/v1/sessions/s?session_id=t", "", 400, "has none").await;
    check("GET", "/v1/runs/r/events?after_cursor=x", "", 400, "after_cursor").await;
    let deep = "[".repeat(100_000);
    check("POST", "/v1/sessions", &format!("{{\"agent\": {deep}"), 400, "").await;
    check(
        "POST",
        "/v1/sessions",
        &format!("{{\"agent\": \"{}\"}}", "x".repeat(1 << 20)),
        413,
        "1048576",
    )
    .await;
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_by_its_kind() {
    let (rest, _) = rest();
    for kind in [
        None,
        Some("application/x-www-form-urlencoded"),
        Some("text/plain"),
    ] {
        let mut create = request("POST", "/v1/sessions", "{}");
        create.headers_mut().remove("content-type");
        if let Some(kind) = kind {
            create.headers_mut().insert("content-type", kind.parse().unwrap());
        }
        let (status, error) = json(rest.answer(create).await).await;
        assert_eq!(status, 415);
        assert!(
            error["error"]["message"]
                .as_str()
                .unwrap()
                .contains("content-type: application/json")
        );
    }
}

#[tokio::test]
async fn a_refusal_keeps_its_code_reason_and_time() {
    let (status, error) = ask("GET", "/v1/sessions/none", "").await;
    assert_eq!(status, 404);
    let expected = json!({"error": {
        "code": 404, "status": "NOT_FOUND", "reason": "NOT_FOUND", "message": "no such thing",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "NOT_FOUND", "domain": "harombe"}],
    }});
    assert_eq!(error, expected);
    assert_eq!(ask("GET", "/v1/agents", "").await.0, 500);

    let (rest, _) = rest();
    let busy = rest
        .answer(request("POST", "/v1/sessions", r#"{"agent": "busy"}"#))
        .await;
    let (status, headers, body) = bytes(busy).await;
    assert_eq!(
        (status.as_u16(), &headers["retry-after"]),
        (429, &"3".parse().unwrap())
    );
    assert!(String::from_utf8_lossy(&body).contains("\"retryDelay\":\"2.5s\""));
    let (status, headers, _) = bytes(rest.answer(request("GET", "/v1/tools", "")).await).await;
    assert_eq!(
        (status.as_u16(), &headers["www-authenticate"]),
        (401, &"Bearer".parse().unwrap())
    );
}

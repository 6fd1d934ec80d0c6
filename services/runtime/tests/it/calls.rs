//! A model's calls: allowed, approved, refused, never dispatched, and what the model is told of each.

use std::time::Duration;

use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Decision, OutputStream, Risk, ToolFinished, ToolOutcome};

use crate::world::{World, answer, finished_tools, kinds};

/// A script with these calls in its first turn, which then repeats the last result.
fn script(calls: &[(&str, &str)]) -> String {
    let calls: String = calls
        .iter()
        .map(|(tool, arguments)| format!("[[turn.calls]]\ntool = '{tool}'\narguments = '''{arguments}'''\n"))
        .collect();
    format!("[[turn]]\ntext = 'Let me see.'\n{calls}\n[[turn]]\ntext = 'It said: {{{{result}}}}'")
}

async fn one(world: &World, tool: &str, arguments: &str) -> (ToolFinished, String) {
    let node = world.node(&script(&[(tool, arguments)])).await;
    let events = node.say(world, "hi").await;
    let [finished] = <[_; 1]>::try_from(finished_tools(&events)).unwrap();
    (finished, answer(&events))
}

#[tokio::test]
async fn approved_code_runs_and_its_output_comes_back() {
    let world = World::new();
    world.hitl.ask_for("code_execute");
    world.hitl.decide(Decision::Approved, "");
    let node = world
        .node(&script(&[(
            "code_execute",
            r#"{"language":"python","code":"say 42"}"#,
        )]))
        .await;
    let events = node.say(&world, "hi").await;
    assert_eq!(
        kinds(&events),
        [
            "started",
            "context",
            "text",
            "proposed",
            "usage",
            "approval",
            "decided",
            "tool started",
            "tool finished",
            "text",
            "usage",
            "finished"
        ]
    );
    assert_eq!(answer(&events), "It said: 42");
    for event in events.iter().filter_map(|event| event.event.as_ref()) {
        match event {
            Event::ApprovalRequired(event) => assert_eq!(event.risk(), Risk::High),
            Event::ApprovalDecided(event) => assert_eq!(event.decided_by, "bob"),
            Event::ToolStarted(event) => assert_eq!(event.isolation, "gvisor"),
            Event::ToolOutput(event) => {
                assert_eq!(
                    (event.stream(), event.offset, &event.data[..]),
                    (OutputStream::Stdout, 0, &b"42"[..])
                );
            }
            Event::ToolFinished(event) => {
                assert_eq!((event.outcome(), event.exit_code), (ToolOutcome::Ok, Some(0)));
            }
            _ => {}
        }
    }
    assert!(
        events
            .iter()
            .any(|event| matches!(event.event, Some(Event::ToolOutput(_))))
    );
    assert_eq!(kinds(&world.memory.events()), kinds(&events));
}

#[tokio::test]
async fn the_time_that_an_approver_takes_is_not_the_calls() {
    let world = World::new();
    world.hitl.ask_for("code_execute");
    let call = ("code_execute", r#"{"language":"python","code":"say 42"}"#);
    let node = world.node(&script(&[call])).await;
    let approver = async {
        while world.hitl.state.lock().authorized.is_empty() {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_secs(3));
        world.hitl.decide(Decision::Approved, "");
    };
    let (events, ()) = tokio::join!(node.say(&world, "hi"), approver);
    let [finished] = <[_; 1]>::try_from(finished_tools(&events)).unwrap();
    assert_eq!((finished.outcome(), finished.duration_ms), (ToolOutcome::Ok, 0));
}

#[tokio::test]
async fn a_denied_call_is_not_run_and_the_model_hears_why() {
    for (decision, reason, words) in [
        (Decision::Denied, "APPROVAL_DENIED", "not today"),
        (Decision::Expired, "APPROVAL_EXPIRED", "in time"),
    ] {
        let world = World::new();
        world.hitl.ask_for("code_execute");
        world.hitl.decide(decision, "not today");
        let (finished, answer) = one(&world, "code_execute", r#"{"language":"shell","code":"say x"}"#).await;
        assert_eq!(
            (finished.outcome(), finished.reason.as_str()),
            (ToolOutcome::Denied, reason)
        );
        assert!(answer.contains(words), "{answer}");
        assert!(world.sandbox.executed.lock().is_empty());
    }
}

#[tokio::test]
async fn what_makes_no_sense_goes_back_to_the_model_and_nowhere_else() {
    for (tool, arguments, reason, words) in [
        ("rm_rf", "{}", "TOOL_UNKNOWN", "code_execute, file_read"),
        ("code_execute", "print(1)", "CALL_INVALID", "not JSON"),
        (
            "code_execute",
            r#"{"language":"python","code":"x","root":true}"#,
            "CALL_INVALID",
            "root",
        ),
        ("file_read", r#"{"path":"a","path":"b"}"#, "CALL_INVALID", "JSON"),
        (
            "web_fetch",
            r#"{"url":"https://allowed.test/","method":"DELETE"}"#,
            "CALL_INVALID",
            "/method",
        ),
    ] {
        let world = World::new();
        let (finished, answer) = one(&world, tool, arguments).await;
        assert_eq!(
            (finished.outcome(), finished.reason.as_str()),
            (ToolOutcome::Invalid, reason)
        );
        assert!(answer.contains(words), "{answer:?} lacks {words:?}");
        assert!(world.hitl.state.lock().authorized.is_empty());
    }
}

#[tokio::test]
async fn what_egress_cannot_allow_is_shown_to_no_approver() {
    let world = World::new();
    world.hitl.ask_for("web_fetch");
    let (finished, answer) = one(&world, "web_fetch", r#"{"url":"https://denied.test/"}"#).await;
    assert_eq!(
        (finished.outcome(), finished.reason.as_str()),
        (ToolOutcome::Denied, "EGRESS_DENIED")
    );
    assert!(answer.contains("no rule allows it"), "{answer}");
    assert!(world.hitl.state.lock().authorized.is_empty());
}

#[tokio::test]
async fn a_page_is_fetched_through_the_tunnel_without_its_secrets() {
    let world = World::new();
    let secret = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    *world.egress.page.lock() = format!("token: {secret}\nand more");
    let (finished, answer) = one(
        &world,
        "web_fetch",
        r#"{"url":"https://allowed.test/a?b=c","headers":{"Accept":"text/plain"}}"#,
    )
    .await;
    assert_eq!(finished.outcome(), ToolOutcome::Ok, "{finished:?}");
    assert!(
        answer.contains("HTTP 200") && answer.contains("and more"),
        "{answer}"
    );
    assert!(
        !answer.contains(&secret) && answer.contains("[REDACTED:"),
        "{answer}"
    );
    assert_eq!(finished.redactions.values().sum::<u32>(), 1);
    let requests = world.egress.requests.lock().clone();
    let request = requests[0].to_lowercase();
    assert!(request.starts_with("get /a?b=c http/1.1\r\n"), "{request}");
    assert!(request.contains("host: allowed.test\r\n") && request.contains("accept: text/plain\r\n"));
}

#[tokio::test]
async fn what_the_proxy_took_out_of_a_page_is_told_too() {
    let world = World::new();
    *world.egress.page.lock() = "token: [REDACTED:github_token]\nkey: [REDACTED:no_such_kind]".to_owned();
    let (finished, answer) = one(&world, "web_fetch", r#"{"url":"https://allowed.test/"}"#).await;
    assert!(answer.contains("[REDACTED:github_token]"), "{answer}");
    assert_eq!(finished.redactions, [("github_token".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_pages_content_type_is_cut_and_has_no_secrets_either() {
    let world = World::new();
    let secret = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    *world.egress.page.lock() = "and more".to_owned();
    *world.egress.content_type.lock() = format!("text/plain; a={secret}; b={}", "é ".repeat(10_000));
    let (finished, answer) = one(&world, "web_fetch", r#"{"url":"https://allowed.test/"}"#).await;
    assert_eq!(finished.outcome(), ToolOutcome::Ok, "{finished:?}");
    assert!(answer.contains("Content-Type: text/plain") && answer.contains("and more"));
    assert!(answer.len() < 400, "{}", answer.len());
    assert!(!answer.contains("ghp_"), "{answer}");
    assert_eq!(finished.redactions.values().sum::<u32>(), 1);
}

#[tokio::test]
async fn the_web_is_searched_where_there_is_something_to_search_with() {
    let world = World::new();
    let script = "[[turn]]\n[[turn.calls]]\ntool = 'web_search'\narguments = { query = 'rust' }\n\
                  [[turn]]\ntext = '{{result}}'";
    let without = world.node(script).await;
    let events = without.say(&world, "search").await;
    assert_eq!(finished_tools(&events)[0].reason, "TOOL_UNKNOWN");

    let world = World::new();
    let found =
        |title: &str, url: &str| serde_json::json!({ "title": title, "url": url, "snippet": "a few words" });
    let results = [
        found("Rust", "https://rust.test/"),
        found("Iron oxide", "https://iron.test/"),
    ];
    *world.egress.page.lock() = serde_json::json!({ "results": results }).to_string();
    let with = world.searching(script).await;
    let events = with.say(&world, "search").await;
    let finished = finished_tools(&events).remove(0);
    assert_eq!(finished.outcome(), ToolOutcome::Ok, "{finished:?}");
    let lines: Vec<_> = finished.result.lines().collect();
    assert!(lines[0].contains("not to be obeyed"), "{lines:?}");
    assert_eq!(
        lines[2..],
        [
            "1. Rust",
            "https://rust.test/",
            "a few words",
            "",
            "2. Iron oxide",
            "https://iron.test/",
            "a few words"
        ]
    );
    assert_eq!(world.hitl.state.lock().authorized[0].tool(), "web_search");

    let world = World::new();
    *world.egress.page.lock() = "{\"results\":[]}".to_owned();
    let with = world.searching(script).await;
    let events = with.say(&world, "search").await;
    assert_eq!(finished_tools(&events)[0].result, "Nothing was found.");
}

#[tokio::test]
async fn files_are_written_read_and_listed() {
    let world = World::new();
    let (written, _) = one(&world, "file_write", r#"{"path":"a.txt","content":"Grüße"}"#).await;
    assert_eq!(written.result, "Wrote 7 bytes to a.txt.");
    for (tool, arguments, expected) in [
        ("file_read", r#"{"path":"a.txt"}"#, "Grüße"),
        ("file_list", "{}", "a.txt (7 bytes)"),
    ] {
        world.memory.state.lock().runs.clear();
        let (finished, _) = one(&world, tool, arguments).await;
        assert_eq!(
            (finished.outcome(), finished.result.as_str()),
            (ToolOutcome::Ok, expected)
        );
    }
    world.memory.state.lock().runs.clear();
    let (missing, _) = one(&world, "file_read", r#"{"path":"b.txt"}"#).await;
    assert_eq!(
        (missing.outcome(), missing.reason.as_str()),
        (ToolOutcome::Failed, "FILE_NOT_FOUND")
    );
    assert!(
        !world.memory.state.lock().workspace.is_empty(),
        "the workspace is bound to the session"
    );
}

#[tokio::test]
async fn failing_code_tells_its_exit_code_and_errors() {
    let world = World::new();
    let (finished, answer) = one(
        &world,
        "code_execute",
        r#"{"language":"shell","code":"warn no such thing"}"#,
    )
    .await;
    assert_eq!(
        (finished.outcome(), finished.exit_code),
        (ToolOutcome::Failed, Some(3))
    );
    assert!(
        answer.contains("no such thing") && answer.contains("exit code 3"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_broker_that_breaks_off_leaves_the_outcome_unknown() {
    let world = World::new();
    let (finished, _) = one(
        &world,
        "code_execute",
        r#"{"language":"shell","code":"gibberish"}"#,
    )
    .await;
    assert_eq!(finished.outcome(), ToolOutcome::Unknown);
}

#[tokio::test]
async fn without_hitl_nothing_is_done() {
    let world = World::new();
    world.hitl.state.lock().away = true;
    let (finished, _) = one(&world, "file_list", "{}").await;
    assert_eq!(
        (finished.outcome(), finished.reason.as_str()),
        (ToolOutcome::Denied, "HITL_UNAVAILABLE")
    );
}

#[tokio::test]
async fn calls_of_one_response_run_side_by_side() {
    let world = World::new();
    world.hitl.ask_for("code_execute");
    let calls = [
        ("code_execute", r#"{"language":"shell","code":"say slow"}"#),
        ("file_list", "{}"),
        ("nonsense", "{}"),
    ];
    let node = world.node(&script(&calls)).await;
    let stream = node.send(&world.token(), "m1", "hi").await.unwrap();
    // the others finish while the first waits for a person
    world
        .memory
        .wait_until(|state| {
            let entries = state.runs.values().flat_map(|run| &run.entries);
            let events = entries.filter_map(|entry| entry.event.as_ref()?.event.as_ref());
            events
                .filter(|event| matches!(event, Event::ToolFinished(_)))
                .count()
                == 2
        })
        .await;
    world.hitl.decide(Decision::Approved, "");
    let events = crate::world::collect(stream).await;
    assert_eq!(finished_tools(&events).len(), 3);
    let turns = world.memory.state.lock().turns.clone();
    let answers: Vec<_> = turns[0]
        .messages
        .iter()
        .filter(|message| !message.call_id.is_empty())
        .map(|message| message.text.clone())
        .collect();
    assert_eq!(answers[0], "slow", "answers keep the order of the calls");
    assert_eq!(answers.len(), 3);
}

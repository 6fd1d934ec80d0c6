//! What a node counts: runs and how they end or move, questions to models, calls of tools.

use std::time::Duration;

use harombe_proto::types::v1::Decision;
use harombe_proto::types::v1::run_event::Event;
use tonic::Code;

use crate::world::{Node, World, collect, ended_run, until};

/// The value of the line that begins so.
fn value(node: &Node, line: &str) -> Option<f64> {
    let page = node.metrics.encode();
    let rest = page.lines().find_map(|text| text.strip_prefix(line))?;
    rest.trim().parse().ok()
}

#[track_caller]
fn check(node: &Node, line: &str, expected: u32) {
    let page = node.metrics.encode();
    assert_eq!(value(node, line), Some(expected.into()), "{line} in {page}");
}

/// Waits until the page says so.
async fn shows(node: &Node, line: &str, expected: u32) {
    let shown = async {
        while value(node, line) != Some(expected.into()) {
            tokio::task::yield_now().await;
        }
    };
    let shown = tokio::time::timeout(Duration::from_secs(60), shown).await;
    assert!(
        shown.is_ok(),
        "{line} is not {expected} in {}",
        node.metrics.encode()
    );
}

fn is_started(event: &Event) -> bool {
    matches!(event, Event::ToolStarted(_))
}

fn is_waiting(event: &Event) -> bool {
    matches!(event, Event::ApprovalRequired(_))
}

const CODE: &str =
    "[[turn.calls]]\ntool = 'code_execute'\narguments = { language = 'shell', code = 'CODE' }\n";

#[tokio::test]
async fn runs_questions_and_calls_are_counted_by_how_they_ended() {
    let world = World::new();
    let script = format!(
        "[[turn]]\n{CODE}[[turn.calls]]\ntool = 'rm_rf'\n\
         [[turn]]\ntext = 'Done.'\n\
         [[turn]]\nwhen_user_contains = 'nothing'"
    );
    let node = world.node(&script.replace("CODE", "say 42")).await;
    check(&node, "harombe_runtime_runs{doing=\"driven\"}", 0);
    node.say(&world, "hi").await;
    let token = world.pki.run_token(&world.next_run());
    collect(node.send(&token, "m2", "say nothing").await.unwrap()).await;

    for (line, expected) in [
        ("runs{doing=\"driven\"}", 0),
        ("runs_ended_total{outcome=\"ok\",why=\"ANSWERED\"}", 1),
        ("runs_ended_total{outcome=\"failed\",why=\"MODEL_INVALID\"}", 1),
        (
            "model_calls_total{model=\"scripted:script.toml\",outcome=\"ok\"}",
            2,
        ),
        (
            "model_calls_total{model=\"scripted:script.toml\",outcome=\"invalid\"}",
            1,
        ),
        ("model_seconds_count{model=\"scripted:script.toml\"}", 3),
        ("tool_calls_total{tool=\"code_execute\",outcome=\"ok\"}", 1),
        ("tool_calls_total{tool=\"other\",outcome=\"invalid\"}", 1),
        ("runs_refused_total", 0),
        ("runs_taken_over_total", 0),
    ] {
        check(&node, &format!("harombe_runtime_{line}"), expected);
    }
    for direction in ["read", "written"] {
        let labels = format!("model=\"scripted:script.toml\",direction=\"{direction}\"");
        let tokens = value(&node, &format!("harombe_runtime_model_tokens_total{{{labels}}}"));
        assert!(tokens > Some(0.0), "{direction}");
    }
    let page = node.metrics.encode();
    assert!(
        !page.contains("rm_rf"),
        "what a model makes up is no label: {page}"
    );
}

#[tokio::test]
async fn runs_that_wait_are_refused_or_move_are_counted() {
    let world = World::new();
    world.hitl.ask_for("file_list");
    let script = format!(
        "[[turn]]\n[[turn.calls]]\ntool = 'file_list'\n\
         [[turn]]\ntext = 'Done.'\n\
         [[turn]]\nwhen_user_contains = 'program'\n{CODE}\
         [[turn]]\nwhen_user_contains = 'program'\ntext = 'Done.'"
    );
    let script = script.replace("CODE", "wait");
    let first = world.configured(&script, |config| config.max_runs = 1).await;
    let mut waiting = first.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut waiting, is_waiting).await;
    shows(&first, "harombe_runtime_runs{doing=\"waiting\"}", 1).await;
    check(&first, "harombe_runtime_runs{doing=\"driven\"}", 0);

    let token = world.pki.run_token(&world.elsewhere());
    let mut driven = first.send(&token, "m1", "a program").await.unwrap();
    until(&mut driven, is_started).await;
    check(&first, "harombe_runtime_runs{doing=\"driven\"}", 1);
    let token = world.pki.run_token(&world.elsewhere());
    let status = first.send(&token, "m1", "hi").await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    check(&first, "harombe_runtime_runs_refused_total", 1);
    world.sandbox.go_on.send_replace(true);
    collect(driven).await;

    let metrics = first.metrics.clone();
    first.service.shutdown(Duration::from_secs(60)).await;
    let page = metrics.encode();
    let draining = "\nharombe_runtime_runs_let_go_total{why=\"draining\"} 1\n";
    assert!(page.contains(draining), "{page}");

    let second = world.node(&script).await;
    world.hitl.decide(Decision::Approved, "");
    ended_run(&world).await;
    check(&second, "harombe_runtime_runs_taken_over_total", 1);
    let ended = "harombe_runtime_runs_ended_total{outcome=\"ok\",why=\"ANSWERED\"}";
    shows(&second, ended, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_counted() {
    let world = World::new();
    let script = format!("[[turn]]\n{CODE}").replace("CODE", "hang");
    let node = world.node(&script).await;
    let mut stream = node.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, is_started).await;
    for run in world.memory.state.lock().runs.values_mut() {
        run.epoch += 1;
    }
    collect(stream).await;
    check(&node, "harombe_runtime_runs_let_go_total{why=\"lease_lost\"}", 1);
}

#[tokio::test]
async fn a_run_that_was_begun_before_is_counted_as_taken_over() {
    let world = World::new();
    world.memory.state.lock().lose_begin = true;
    let node = world.node("[[turn]]\ntext = 'Done.'").await;
    node.say(&world, "hi").await;
    assert_eq!(world.memory.the_run().epoch, 2);
    check(&node, "harombe_runtime_runs_taken_over_total", 1);
}

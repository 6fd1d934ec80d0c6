//! A run that did something while the audit log was there, and cannot end on record because it is away.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1::RunState;
use harombe_proto::runtime::v1::RunResponse;
use harombe_proto::types::v1::StopReason;
use harombe_proto::types::v1::run_event::Event;
use harombe_runtime::{Config, ModelConfig, Provider};
use harombe_testkit::Fault;
use harombe_trail::{Kind, PATIENCE};
use serde_json::{Value, json};
use tonic::Streaming;

use crate::world::{Node, World, answer, collect, end, ended_run, until};

const WALL: Duration = Duration::from_secs(600);

/// An agent whose model is reached through egress.
fn far(config: &mut Config) {
    let mut model = ModelConfig::new(Provider::Openai, "test-model", "far");
    model.attempts = 1;
    config.models.insert("m".to_owned(), model);
    let agent = config.agents.get_mut("default").unwrap();
    agent.model = "m".to_owned();
    agent.max_wall = WALL.into();
}

fn says(world: &World, delta: &Value, stop: &str) {
    let events = [
        json!({ "choices": [{ "index": 0, "delta": delta }] }),
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": stop }] }),
        json!({ "choices": [], "usage": { "prompt_tokens": 10, "completion_tokens": 5 } }),
    ];
    *world.egress.content_type.lock() = "text/event-stream".to_owned();
    *world.egress.page.lock() = events.iter().map(|event| format!("data: {event}\n\n")).collect();
}

/// A run that has executed code and fails because egress-proxy cannot record its next question.
async fn held(world: &World) -> (Node, Streaming<RunResponse>) {
    let arguments = json!({ "language": "shell", "code": "wait" }).to_string();
    let function = json!({ "name": "code_execute", "arguments": arguments });
    let call = json!({ "index": 0, "id": "c", "function": function });
    says(world, &json!({ "tool_calls": [call] }), "tool_calls");
    let node = world.configured("", far).await;
    let mut stream = node.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, |event| matches!(event, Event::ToolStarted(_))).await;
    world.audit.fail(Fault::Unavailable);
    let refusal = Failure::new(Code::Unavailable, Reason::AuditUnavailable, "there is no log");
    *world.egress.refusal.lock() = Some(refusal);
    world.sandbox.go_on.send_replace(true);
    until(&mut stream, |event| matches!(event, Event::ToolFinished(_))).await;
    (node, stream)
}

/// What the log says of how the run ended, and under which lease each time.
fn endings(world: &World) -> Vec<(u64, String)> {
    let ends = world.audit.of_kind(Kind::RunFinished).into_iter();
    let ending = |details: &str| {
        let details: Value = serde_json::from_str(details).unwrap();
        let ending = details["ending"].as_str().unwrap().to_owned();
        (details["epoch"].as_u64().unwrap(), ending)
    };
    ends.map(|event| ending(&event.details)).collect()
}

/// The one that counts: of the highest epoch.
fn counts(world: &World) -> String {
    let last = endings(world).into_iter().max_by_key(|(epoch, _)| *epoch);
    last.unwrap().1
}

#[tokio::test(start_paused = true)]
async fn a_run_that_did_something_has_its_end_on_record_before_anybody_is_told() {
    let world = World::new();
    let (_node, stream) = held(&world).await;
    tokio::time::sleep(WALL / 2).await;
    let run = world.memory.the_run();
    assert_eq!((run.state, run.epoch), (RunState::Active, 1), "it waits");
    assert_eq!(endings(&world), []);

    world.audit.fail(Fault::None);
    let Event::RunFailed(failed) = end(&collect(stream).await) else {
        panic!("not failed")
    };
    assert_eq!(failed.reason, "AUDIT_UNAVAILABLE");
    assert_eq!(world.memory.the_run().state, RunState::Failed);
    assert_eq!(endings(&world), [(1, "AUDIT_UNAVAILABLE".to_owned())], "once");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_goes_away_meanwhile_leaves_the_run_to_one_that_goes_on() {
    let world = World::new();
    let (first, _stream) = held(&world).await;
    first.service.shutdown(Duration::from_secs(60)).await;
    let run = world.memory.the_run();
    assert_eq!((run.state, run.epoch), (RunState::Active, 2), "given back");

    world.audit.fail(Fault::None);
    *world.egress.refusal.lock() = None;
    says(&world, &json!({ "content": "Done." }), "stop");
    let _second = world.configured("", far).await;
    assert_eq!(ended_run(&world).await.state, RunState::Finished);
    assert_eq!(answer(&world.memory.events()), "Done.");
    assert_eq!(
        counts(&world),
        "ANSWERED",
        "whatever the first one left in its trail"
    );
    assert_eq!(world.sandbox.executed.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_time_is_over_meanwhile_ends_by_whoever_takes_it() {
    let world = World::new();
    let (node, stream) = held(&world).await;
    // a little longer than its time, and then nobody has it
    collect(stream).await;
    let run = world.memory.the_run();
    assert_eq!((run.state, run.epoch), (RunState::Active, 1));
    world.clock.advance(WALL + crate::memory::PERIOD * 4);
    world
        .memory
        .wait_until(|state| state.runs.values().all(|run| run.epoch == 2))
        .await;
    // that little is over too: who has it now does not keep it long
    tokio::time::sleep(PATIENCE * 2).await;
    let stuck = "\nharombe_runtime_runs_let_go_total{why=\"stuck\"} 2\n";
    let page = node.metrics.encode();
    assert!(page.contains(stuck), "{page}");
    assert_eq!(endings(&world), []);

    world.audit.fail(Fault::None);
    world.clock.advance(crate::memory::PERIOD * 2);
    assert_eq!(ended_run(&world).await.state, RunState::Finished);
    let Some(Event::RunFinished(finished)) = world.memory.events().pop().unwrap().event else {
        panic!("not finished")
    };
    assert_eq!(finished.stop_reason(), StopReason::TimeLimit);
    assert_eq!(counts(&world), "TIME_LIMIT");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_another_node_had_begun_has_its_end_on_record_even_if_nothing_was_done() {
    let world = World::new();
    let script = "[[turn]]\n[[turn.calls]]\ntool = 'file_list'";
    world.memory.state.lock().failures = usize::MAX;
    let first = world.node(script).await;
    let stream = first.send(&world.token(), "m1", "hi").await.unwrap();
    world.audit.wait_for_kind(Kind::RunStarted).await;
    world.audit.fail(Fault::Unavailable);
    first.service.shutdown(Duration::ZERO).await;
    drop(stream);

    world.memory.state.lock().failures = 0;
    world.clock.advance(crate::memory::PERIOD);
    let _second = world.node(script).await;
    tokio::time::sleep(WALL / 2).await;
    let run = world.memory.the_run();
    assert_eq!((run.state, run.epoch), (RunState::Active, 2), "it waits");

    world.audit.fail(Fault::None);
    assert_eq!(ended_run(&world).await.state, RunState::Failed);
    assert_eq!(endings(&world), [(2, "AUDIT_UNAVAILABLE".to_owned())]);
}

#[tokio::test]
async fn a_run_whose_answer_cannot_be_stored_has_that_on_record_last() {
    let world = World::new();
    let refusal = Failure::new(
        Code::InvalidArgument,
        Reason::InvalidArgument,
        "the turn is too long",
    );
    {
        let mut state = world.memory.state.lock();
        (state.refusal, state.failures) = (Some(refusal), 1);
    }
    let node = world.node("[[turn]]\ntext = 'Hello.'").await;
    let Event::RunFailed(failed) = end(&node.say(&world, "hi").await) else {
        panic!("not failed")
    };
    assert_eq!(failed.reason, "INVALID_ARGUMENT");
    let both = ["ANSWERED", "INVALID_ARGUMENT"].map(|ending| (1, ending.to_owned()));
    assert_eq!(endings(&world), both);
}

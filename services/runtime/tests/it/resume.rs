//! A node is killed in the middle of a run: another one goes on, and nothing is done twice.

use std::time::Duration;

use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Decision, ToolOutcome};
use harombe_trail::Kind;

use crate::world::{World, answer, ended_run, finished_tools, kinds, until};

const SCRIPT: &str = "
    [[turn]]
    [[turn.calls]]
    tool = 'file_write'
    arguments = { path = 'a', content = 'first' }
    [[turn]]
    [[turn.calls]]
    tool = 'code_execute'
    arguments = { language = 'shell', code = 'CODE' }
    [[turn]]
    text = 'It said: {{result}}'
";

#[tokio::test]
async fn a_run_that_waits_for_a_person_waits_on_at_another_node() {
    let world = World::new();
    world.hitl.ask_for("code_execute");
    let script = SCRIPT.replace("CODE", "say 42");
    let first = world.node(&script).await;
    let mut stream = first.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, |event| matches!(event, Event::ApprovalRequired(_))).await;
    first.service.shutdown(Duration::from_secs(5)).await;

    world.clock.advance(Duration::from_secs(11));
    let _second = world.node(&script).await;
    world.hitl.decide(Decision::Approved, "");
    ended_run(&world).await;
    let events = world.memory.events();
    assert_eq!(answer(&events), "It said: 42");
    let approvals = kinds(&events)
        .into_iter()
        .filter(|kind| *kind == "approval")
        .count();
    assert_eq!(approvals, 1, "clients are told once");
    assert_eq!(world.sandbox.executed.lock().len(), 1);
    assert_eq!(world.memory.the_run().epoch, 3);
}

#[tokio::test]
async fn a_call_that_may_have_run_is_not_run_again() {
    let world = World::new();
    let script = SCRIPT.replace("CODE", "hang");
    let first = world.node(&script).await;
    let mut stream = first.send(&world.token(), "m1", "hi").await.unwrap();
    let started = |event: &Event| matches!(event, Event::ToolStarted(event) if event.tool == "code_execute");
    until(&mut stream, started).await;
    first.service.shutdown(Duration::ZERO).await;

    world.clock.advance(Duration::from_secs(11));
    let _second = world.node(&script).await;
    ended_run(&world).await;
    let events = world.memory.events();
    let outcomes: Vec<_> = finished_tools(&events)
        .iter()
        .map(|finished| finished.outcome())
        .collect();
    assert_eq!(outcomes, [ToolOutcome::Ok, ToolOutcome::Unknown]);
    assert!(answer(&events).contains("unknown"), "the model is told");
    assert_eq!(world.sandbox.executed.lock().len(), 1);
    let authorized = world.hitl.state.lock().authorized.clone();
    let first_call = authorized[0].call().to_owned();
    let asked = authorized.iter().filter(|call| call.call() == first_call).count();
    assert_eq!(asked, 1, "the finished call was left alone");
}

#[tokio::test]
async fn a_run_past_its_wall_limit_is_ended_by_the_node_that_finds_it() {
    let world = World::new();
    world.hitl.ask_for("code_execute");
    let script = SCRIPT.replace("CODE", "say 42");
    let first = world.node(&script).await;
    let mut stream = first.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, |event| matches!(event, Event::ApprovalRequired(_))).await;
    first.service.shutdown(Duration::from_secs(5)).await;

    world.clock.advance(Duration::from_secs(11 * 60));
    let _second = world
        .node_with(&script, |agent| agent.max_wall = Duration::from_secs(600).into())
        .await;
    ended_run(&world).await;
    let Some(Event::RunFinished(finished)) = world.memory.events().pop().unwrap().event else {
        panic!()
    };
    assert_eq!(
        finished.stop_reason(),
        harombe_proto::types::v1::StopReason::TimeLimit
    );
    let ends = world.audit.of_kind(Kind::RunFinished);
    assert_eq!(ends.len(), 1, "the log has the end of what it has the start of");
}

//! A node that goes away, and a caller that meets another node than the one that drives its run.

use std::time::Duration;

use harombe_proto::runtime::v1::{CancelRequest, RunRequest, RunResponse};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Decision, StopReason, ToolOutcome};
use harombe_rpc::RequestExt as _;
use tokio::time::Instant;
use tonic::{Code, Request, Streaming};

use crate::world::{Node, World, answer, collect, end, ended_run, finished_tools, kinds, until};

const DEADLINE: Duration = Duration::from_secs(60);

fn script(code: &str) -> String {
    format!(
        "[[turn]]\n[[turn.calls]]\ntool = 'code_execute'\narguments = {{ language = 'shell', code = '{code}' }}\n\
         [[turn]]\ntext = 'It said: {{{{result}}}}'"
    )
}

fn is_started(event: &Event) -> bool {
    matches!(event, Event::ToolStarted(_))
}

fn is_waiting(event: &Event) -> bool {
    matches!(event, Event::ApprovalRequired(_))
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_a_person_is_given_up_at_once() {
    let world = World::new();
    world.hitl.ask_for("code_execute");
    let first = world.node(&script("say 42")).await;
    let mut stream = first.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, is_waiting).await;
    let begun = Instant::now();
    first.service.shutdown(DEADLINE).await;
    assert!(begun.elapsed() < DEADLINE / 4, "nothing was to be waited for");
    assert_eq!(
        collect(stream).await,
        [],
        "the stream ends without an end of the run"
    );

    // no time passes for the lease: it was given back
    let _second = world.node(&script("say 42")).await;
    world.hitl.decide(Decision::Approved, "");
    assert_eq!(ended_run(&world).await.epoch, 3);
    assert_eq!(answer(&world.memory.events()), "It said: 42");
}

#[tokio::test]
async fn a_step_that_has_begun_ends_and_nothing_new_begins() {
    let world = World::new();
    let first = world.node(&script("wait")).await;
    let mut stream = first.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, is_started).await;
    let client = first.client.clone();
    let shutdown = tokio::spawn(first.service.shutdown(DEADLINE));
    let other = world.pki.run_token(&world.elsewhere());
    // refused as soon as the node goes away
    let refused = loop {
        let message = RunRequest {
            client_message_id: "m2".into(),
            text: "  ".into(),
            ..RunRequest::default()
        };
        let request = Request::new(message).with_token(&other);
        let status = client.clone().run(request).await.unwrap_err();
        if status.code() != Code::InvalidArgument {
            break status;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(!shutdown.is_finished(), "the program still runs");
    world.sandbox.go_on.send_replace(true);
    shutdown.await.unwrap();
    assert_eq!(world.memory.the_run().epoch, 2, "given up, and nobody has it");
    let outcomes: Vec<_> = finished_tools(&world.memory.events())
        .iter()
        .map(|finished| finished.outcome())
        .collect();
    assert_eq!(outcomes, [ToolOutcome::Ok], "the step was seen to its end here");

    let _second = world.node(&script("wait")).await;
    assert_eq!(ended_run(&world).await.epoch, 3);
    assert_eq!(
        kinds(&world.memory.events()).last().copied(),
        Some("finished"),
        "and the answer came from the other node"
    );
    assert_eq!(world.sandbox.executed.lock().len(), 1);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_broken_off_and_given_up() {
    let world = World::new();
    let first = world.node(&script("hang")).await;
    let mut stream = first.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, is_started).await;
    // a quarter of it is left for giving the run up
    first.service.shutdown(Duration::from_secs(4)).await;

    let _second = world.node(&script("hang")).await;
    assert_eq!(ended_run(&world).await.epoch, 3);
    let outcomes: Vec<_> = finished_tools(&world.memory.events())
        .iter()
        .map(|finished| finished.outcome())
        .collect();
    assert_eq!(outcomes, [ToolOutcome::Unknown]);
    assert_eq!(world.sandbox.executed.lock().len(), 1);
}

/// A run makes room a moment after it says that it waits.
async fn when_there_is_room(node: &Node, token: &str, text: &str) -> Streaming<RunResponse> {
    loop {
        match node.send(token, "m1", text).await {
            Ok(stream) => return stream,
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_run_that_waits_for_a_person_leaves_its_place_to_others() {
    let world = World::new();
    world.hitl.ask_for("code_execute");
    let script = format!(
        "{}\n[[turn]]\nwhen_user_contains = 'listing'\n[[turn.calls]]\ntool = 'file_list'\n\
         [[turn]]\nwhen_user_contains = 'listing'\ntext = 'done'",
        script("say 42")
    );
    let node = world.configured(&script, |config| config.max_runs = 1).await;
    let mut first = node.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut first, is_waiting).await;
    let mut later = Vec::new();
    for _ in 0..3 {
        let token = world.pki.run_token(&world.elsewhere());
        let mut stream = when_there_is_room(&node, &token, "hi").await;
        until(&mut stream, is_waiting).await;
        later.push(stream);
    }
    let token = world.pki.run_token(&world.elsewhere());
    let listing = collect(when_there_is_room(&node, &token, "a listing").await).await;
    assert_eq!(answer(&listing), "done");
    world.hitl.decide(Decision::Approved, "");
    for stream in later.into_iter().chain([first]) {
        assert_eq!(answer(&collect(stream).await), "It said: 42");
    }
}

#[tokio::test]
async fn a_run_that_does_something_keeps_its_place() {
    let world = World::new();
    let node = world
        .configured(&script("hang"), |config| config.max_runs = 1)
        .await;
    let mut first = node.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut first, is_started).await;
    let token = world.pki.run_token(&world.elsewhere());
    let status = node.send(&token, "m1", "hi").await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
}

#[tokio::test]
async fn a_run_that_is_asked_for_again_is_joined_though_there_is_no_room() {
    let world = World::new();
    let node = world
        .configured(&script("hang"), |config| config.max_runs = 1)
        .await;
    let mut first = node.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut first, is_started).await;
    let mut again = node.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut again, is_started).await;
    assert_eq!(world.memory.the_run().epoch, 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_meet_any_node() {
    let world = World::new();
    let first = world.node(&script("hang")).await;
    let second = world.node(&script("hang")).await;
    let mut stream = first.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, is_started).await;
    let again = world.pki.run_token(&world.next_run());
    let told = collect(second.send(&again, "m1", "hi").await.unwrap()).await;
    let told: Vec<_> = told
        .into_iter()
        .map(|event| (event.run_id, event.event))
        .collect();
    assert_eq!(
        told,
        [(world.principal.run.to_string(), None)],
        "it is in the journal"
    );

    let cancel = CancelRequest {
        reason: "enough".into(),
    };
    let request = Request::new(cancel).with_token(world.token());
    second.client.clone().cancel(request).await.unwrap();
    let Event::RunFinished(finished) = end(&collect(stream).await) else {
        panic!("not finished")
    };
    assert_eq!(finished.stop_reason(), StopReason::Cancelled);
}

//! The leases of a node's runs: kept together, counted by no wall clock, and nothing done without one.

use std::sync::Arc;
use std::time::Duration;

use harombe_proto::runtime::v1::CancelRequest;
use harombe_proto::types::v1::StopReason;
use harombe_proto::types::v1::run_event::Event;
use harombe_rpc::RequestExt as _;
use harombe_types::{Clock as _, ManualClock, Timestamp};
use tokio::time::Instant;
use tonic::Request;

use crate::memory::PERIOD;
use crate::world::{World, collect, end, ended_run, until};

const HANGING: &str = "[[turn]]\n[[turn.calls]]\ntool = 'code_execute'\n\
                       arguments = { language = 'shell', code = 'hang' }";

fn is_started(event: &Event) -> bool {
    matches!(event, Event::ToolStarted(_))
}

fn is_waiting(event: &Event) -> bool {
    matches!(event, Event::ApprovalRequired(_))
}

#[tokio::test(start_paused = true)]
async fn the_leases_of_many_runs_are_kept_with_few_calls() {
    const RUNS: usize = 30;
    let world = World::new();
    world.hitl.ask_for("code_execute");
    let node = world.node(HANGING).await;
    let mut streams = Vec::new();
    for _ in 0..RUNS {
        let token = world.pki.run_token(&world.elsewhere());
        let mut stream = node.send(&token, "m1", "hi").await.unwrap();
        until(&mut stream, is_waiting).await;
        streams.push(stream);
    }
    let before = world.memory.state.lock().renewals.len();
    tokio::time::sleep(PERIOD * 4).await;
    let state = world.memory.state.lock();
    let renewals = &state.renewals[before..];
    assert!(renewals.iter().sum::<usize>() >= RUNS * 8, "{renewals:?}");
    assert!(renewals.len() <= 30, "{renewals:?}");
    assert!(state.runs.values().all(|run| run.epoch == 1));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_memory_does_not_answer_stops_when_its_lease_ends() {
    let world = World::new();
    let node = world.node(HANGING).await;
    let mut stream = node.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, is_started).await;
    world.memory.state.lock().deaf = true;
    let begun = Instant::now();
    let left = collect(stream).await;
    assert!(
        !left
            .iter()
            .any(|event| matches!(event.event, Some(Event::RunFinished(_))))
    );
    assert!(begun.elapsed() <= PERIOD, "{:?}", begun.elapsed());
    let mut hanging = world.sandbox.hanging.subscribe();
    hanging.wait_for(|count| *count == 0).await.unwrap();
    assert!(
        world.memory.state.lock().renewals.len() > 1,
        "it tried more than once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_clock_is_wrong_keeps_its_leases_like_any_other() {
    for wrong in [-4, 10, 300] {
        let world = World::new();
        let now = world.clock.now().as_millis() + wrong * 1000;
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(now)));
        let config = world.config(HANGING, |_| {});
        let node = world.node_by(clock, config).await;
        let mut stream = node.send(&world.token(), "m1", "hi").await.unwrap();
        until(&mut stream, is_started).await;
        tokio::time::sleep(PERIOD * 3).await;
        let renewals = world.memory.state.lock().renewals.len();
        assert!(
            (6..=12).contains(&renewals),
            "{renewals} with a clock {wrong} s off"
        );
        assert_eq!(world.memory.the_run().epoch, 1);
    }
}

#[tokio::test]
async fn a_run_that_was_cancelled_while_no_node_had_it_is_ended_by_the_one_that_takes_it() {
    let world = World::new();
    world.hitl.ask_for("code_execute");
    let first = world.node(HANGING).await;
    let mut stream = first.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, is_waiting).await;
    first.service.shutdown(Duration::from_secs(5)).await;
    for run in world.memory.state.lock().runs.values_mut() {
        run.cancel = true;
    }
    let _second = world.node(HANGING).await;
    ended_run(&world).await;
    let Some(Event::RunFinished(finished)) = world.memory.events().pop().unwrap().event else {
        panic!("not finished")
    };
    assert_eq!(finished.stop_reason(), StopReason::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_stop_is_heard_with_the_next_renewal() {
    let world = World::new();
    world.hitl.ask_for("code_execute");
    let first = world.node(HANGING).await;
    let second = world.node(HANGING).await;
    let mut stream = first.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, is_waiting).await;
    let cancel = CancelRequest {
        reason: "enough".into(),
    };
    let begun = Instant::now();
    let request = Request::new(cancel).with_token(world.token());
    second.client.clone().cancel(request).await.unwrap();
    let Event::RunFinished(finished) = end(&collect(stream).await) else {
        panic!("not finished")
    };
    assert_eq!(finished.stop_reason(), StopReason::Cancelled);
    assert!(begun.elapsed() <= PERIOD / 2, "{:?}", begun.elapsed());
}

//! A deadline ends the wait of a caller on both paths, and never the work of a unary handler.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::egress::v1::CheckRequest;
use harombe_proto::hitl::v1::{ListRequest, WatchRequest};
use harombe_rpc::RequestExt as _;
use tonic::Request;

use crate::on_both_paths;
use crate::toy::{Act, reached};
use crate::world::World;

/// Long enough that a call on a connection that is there has begun by then.
const SOON: Duration = Duration::from_secs(3);

on_both_paths! {
    async fn a_unary_call_ends_at_its_deadline_and_its_handler_goes_on(world: World) {
        let mut client = world.approvals();
        let request = || Request::new(ListRequest::default()).with_token(world.approver());
        client.list(request()).await.unwrap();
        world.toy.then(Act::Wait);
        let request = request().with_deadline(SOON);
        let status = client.list(request).await.unwrap_err();
        let failure = Failure::from(status);
        assert_eq!((failure.code, failure.reason), (Code::DeadlineExceeded, Reason::DeadlineExceeded));
        reached(&world.toy.seen.begun, 2).await;
        world.toy.gate.add_permits(1);
        reached(&world.toy.seen.finished, 2).await;
    }

    async fn a_repeatable_call_is_not_repeated_past_its_deadline(world: World) {
        let mut client = world.egress();
        let request = || Request::new(CheckRequest::default()).with_token(world.run_token());
        client.check(request()).await.unwrap();
        world.toy.then(Act::Wait);
        let status = client.check(request().with_deadline(SOON)).await.unwrap_err();
        assert_eq!(Failure::from(status).code, Code::DeadlineExceeded);
        reached(&world.toy.seen.begun, 2).await;
        world.toy.gate.add_permits(1);
        reached(&world.toy.seen.finished, 2).await;
        assert_eq!(world.toy.begun(), 2);
    }

    async fn a_stream_ends_at_its_deadline(world: World) {
        let mut client = world.approvals();
        let request = Request::new(ListRequest::default()).with_token(world.approver());
        client.list(request).await.unwrap();
        world.toy.then(Act::Wait);
        let request = Request::new(WatchRequest {}).with_token(world.approver());
        let request = request.with_deadline(SOON);
        let mut frames = client.watch(request).await.unwrap().into_inner();
        for _ in 0..3 {
            frames.message().await.unwrap().unwrap();
        }
        let failure = Failure::from(frames.message().await.unwrap_err());
        assert_eq!((failure.code, failure.reason), (Code::DeadlineExceeded, Reason::DeadlineExceeded));
        reached(&world.toy.seen.dropped_streams, 1).await;
    }
}

/// In virtual time, so in process only: with sockets open, time would run ahead of them.
#[tokio::test(start_paused = true)]
async fn a_unary_call_without_a_deadline_gets_ten_seconds() {
    let world = World::in_process();
    world.toy.then(Act::Wait);
    let begun = tokio::time::Instant::now();
    let request = Request::new(ListRequest::default()).with_token(world.approver());
    let status = world.approvals().list(request).await.unwrap_err();
    assert_eq!(Failure::from(status).code, Code::DeadlineExceeded);
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_deadline_has_none() {
    let world = World::in_process();
    world.toy.then(Act::Wait);
    let request = Request::new(WatchRequest {}).with_token(world.approver());
    let mut frames = world.approvals().watch(request).await.unwrap().into_inner();
    for _ in 0..3 {
        frames.message().await.unwrap().unwrap();
    }
    let waited = tokio::time::timeout(Duration::from_secs(86_400), frames.message()).await;
    assert!(waited.is_err(), "{waited:?}");
}

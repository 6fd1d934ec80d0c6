//! What goes wrong in a call stays in that call: dropped clients, panics, oversize messages, a stopping server.

use std::sync::atomic::Ordering;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::egress::v1::CheckRequest;
use harombe_proto::hitl::v1::{ListRequest, WatchRequest};
use harombe_proto::runtime::v1::{UploadFileRequest, upload_file_request};
use harombe_rpc::{MAX_HANDLERS, MAX_MESSAGE, RequestExt as _};
use tokio_stream::StreamExt as _;
use tonic::Request;

use crate::on_both_paths;
use crate::toy::{Act, reached};
use crate::world::World;

on_both_paths! {
    async fn a_dropped_client_does_not_cancel_a_unary_handler(world: World) {
        world.toy.then(Act::Wait);
        let mut client = world.approvals();
        let request = Request::new(ListRequest::default()).with_token(world.approver());
        let call = tokio::spawn(async move { client.list(request).await });
        reached(&world.toy.seen.begun, 1).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        world.toy.gate.add_permits(1);
        reached(&world.toy.seen.finished, 1).await;
    }

    async fn a_dropped_client_ends_its_stream(world: World) {
        world.toy.then(Act::Wait);
        let request = Request::new(WatchRequest {}).with_token(world.approver());
        let mut frames = world.approvals().watch(request).await.unwrap().into_inner();
        frames.message().await.unwrap().unwrap();
        drop(frames);
        reached(&world.toy.seen.dropped_streams, 1).await;
    }

    async fn a_dropped_upload_ends_its_handler(world: World) {
        let first = UploadFileRequest { frame: Some(upload_file_request::Frame::Data(vec![1].into())) };
        let frames = tokio_stream::once(first).chain(tokio_stream::pending());
        let request = Request::new(frames).with_token(world.run_token());
        let mut client = world.runtime();
        let call = tokio::spawn(async move { client.upload_file(request).await });
        reached(&world.toy.seen.begun, 1).await;
        call.abort();
        reached(&world.toy.seen.dropped_streams, 1).await;
    }

    async fn a_panic_is_an_internal_error_and_the_service_lives(world: World) {
        world.toy.then(Act::Panic);
        let mut client = world.approvals();
        let request = || Request::new(ListRequest::default()).with_token(world.approver());
        let status = client.list(request()).await.unwrap_err();
        assert!(!status.message().contains("toy"), "{status:?}");
        let failure = Failure::from(status);
        assert_eq!((failure.code, failure.reason), (Code::Internal, Reason::Internal));
        client.list(request()).await.unwrap();
    }

    async fn a_panic_inside_a_stream_ends_that_stream(world: World) {
        world.toy.then(Act::Panic);
        let mut client = world.approvals();
        let request = || Request::new(WatchRequest {}).with_token(world.approver());
        let mut frames = client.watch(request()).await.unwrap().into_inner();
        for _ in 0..3 {
            frames.message().await.unwrap().unwrap();
        }
        let failure = Failure::from(frames.message().await.unwrap_err());
        assert_eq!((failure.code, failure.reason), (Code::Internal, Reason::Internal));
        assert!(!failure.message.contains("toy"), "{failure:?}");
        assert_eq!(client.watch(request()).await.unwrap().into_inner().collect::<Vec<_>>().await.len(), 3);
    }

    async fn requests_up_to_the_limit_pass_and_no_further(world: World) {
        let mut client = world.egress();
        let token = world.run_token();
        let mut call = async |size: usize| {
            let request = CheckRequest { call: vec![7; size].into() };
            client.check(Request::new(request).with_token(&token)).await
        };
        // Five bytes of tag and length.
        call(MAX_MESSAGE - 5).await.unwrap();
        assert_eq!(world.toy.seen.received.load(Ordering::SeqCst), MAX_MESSAGE - 5);
        let status = call(MAX_MESSAGE - 4).await.unwrap_err();
        assert_eq!(Failure::from(status).code, Code::InvalidArgument);
        assert_eq!(world.toy.begun(), 1);
        call(0).await.unwrap();
    }

    async fn answers_up_to_the_limit_pass_and_no_further(world: World) {
        let mut client = world.approvals();
        let request = || Request::new(ListRequest::default()).with_token(world.approver());
        world.toy.then(Act::Size(MAX_MESSAGE - 64)).then(Act::Size(MAX_MESSAGE));
        client.list(request()).await.unwrap();
        let status = client.list(request()).await.unwrap_err();
        assert_eq!(Failure::from(status).code, Code::InvalidArgument);
        client.list(request()).await.unwrap();
    }

    async fn streamed_messages_have_the_same_limit(world: World) {
        world.toy.then(Act::Size(MAX_MESSAGE));
        let request = Request::new(WatchRequest {}).with_token(world.approver());
        let mut frames = world.approvals().watch(request).await.unwrap().into_inner();
        for _ in 0..3 {
            frames.message().await.unwrap().unwrap();
        }
        assert_eq!(Failure::from(frames.message().await.unwrap_err()).code, Code::InvalidArgument);
    }

    async fn a_server_that_stops_lets_handlers_finish_and_ends_streams(world: World) {
        world.toy.then(Act::Wait).then(Act::Wait);
        let mut client = world.approvals();
        let request = Request::new(WatchRequest {}).with_token(world.approver());
        let mut frames = client.watch(request).await.unwrap().into_inner();
        // What was not sent yet when the server stops is not sent any more.
        for _ in 0..3 {
            frames.message().await.unwrap().unwrap();
        }
        let request = Request::new(ListRequest::default()).with_token(world.approver());
        let call = tokio::spawn(async move { client.list(request).await });
        reached(&world.toy.seen.begun, 2).await;
        let tasks = world.server.tasks().clone();
        let stopping = tokio::spawn(async move { tasks.shutdown(Duration::from_secs(30)).await });
        assert_eq!(Failure::from(frames.message().await.unwrap_err()).code, Code::Unavailable);
        world.toy.gate.add_permits(1);
        assert_eq!(call.await.unwrap().unwrap().into_inner().approvals[0].comment, "waited");
        assert_eq!(stopping.await.unwrap(), 0);
    }

    async fn a_server_that_must_stop_aborts_what_does_not_finish(world: World) {
        world.toy.then(Act::Wait);
        let mut client = world.approvals();
        let request = Request::new(ListRequest::default()).with_token(world.approver());
        let call = tokio::spawn(async move { client.list(request).await });
        reached(&world.toy.seen.begun, 1).await;
        assert_eq!(world.server.tasks().shutdown(Duration::ZERO).await, 1);
        assert_eq!(Failure::from(call.await.unwrap().unwrap_err()).code, Code::Unavailable);
    }
}

/// Callers that give up do not free what their calls cost: the handlers go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_works_on_so_many_calls_at_once_and_no_more() {
    let world = World::in_process();
    let token = world.approver();
    let request = || Request::new(ListRequest::default()).with_token(&token);
    let mut given_up = Vec::new();
    for _ in 0..MAX_HANDLERS {
        world.toy.then(Act::Wait);
        let (mut client, request) = (world.approvals(), request());
        given_up.push(tokio::spawn(async move { client.list(request).await }));
    }
    reached(&world.toy.seen.begun, MAX_HANDLERS).await;
    given_up.iter().for_each(tokio::task::JoinHandle::abort);
    let failure = Failure::from(world.approvals().list(request()).await.unwrap_err());
    assert_eq!(
        (failure.code, failure.reason),
        (Code::ResourceExhausted, Reason::LimitExceeded)
    );
    assert!(failure.retry_after.is_some());
    // Another caller has room.
    let check = Request::new(CheckRequest::default()).with_token(world.run_token());
    world.egress().check(check).await.unwrap();
    world.toy.gate.add_permits(MAX_HANDLERS);
    reached(&world.toy.seen.finished, MAX_HANDLERS).await;
    // A handler's room is free a moment after it has answered.
    let again = async { while world.approvals().list(request()).await.is_err() {} };
    tokio::time::timeout(crate::stranger::FOR_EVER, again)
        .await
        .unwrap();
}

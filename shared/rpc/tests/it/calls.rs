//! Every shape of call works, and a handler knows who calls.

use harombe_error::{Code, Failure, Reason};
use harombe_proto::egress::v1::{CheckRequest, TunnelRequest, tunnel_request, tunnel_response};
use harombe_proto::hitl::v1::{ListRequest, WatchRequest};
use harombe_proto::runtime::v1::{ListToolsRequest, UploadFileRequest, upload_file_request};
use harombe_rpc::{Caller, RequestExt as _};
use harombe_types::{Principal, Role, ServiceName};
use std::time::Duration;
use tokio_stream::StreamExt as _;
use tonic::Request;

use crate::on_both_paths;
use crate::toy::Act;
use crate::world::{World, person};

on_both_paths! {
    async fn a_unary_call_is_answered(world: World) {
        let token = world.approver();
        let request = Request::new(ListRequest::default()).with_token(&token);
        let answer = world.approvals().list(request).await.unwrap().into_inner();
        assert_eq!(answer.approvals[0].comment, "done");
        let caller = Caller {
            service: ServiceName::Gateway,
            principal: Some(Principal::Person(person(&[Role::Approver]))),
        };
        assert_eq!(*world.toy.seen.callers.lock(), [caller]);
        assert_eq!(*world.toy.seen.tokens.lock(), [Some(token.as_str().to_owned())]);
    }

    async fn a_service_that_speaks_for_itself_needs_no_token_and_passes_none_on(world: World) {
        let request = Request::new(ListToolsRequest::default()).with_token("not a token at all");
        world.runtime().list_tools(request).await.unwrap();
        let caller = Caller { service: ServiceName::Gateway, principal: None };
        assert_eq!(*world.toy.seen.callers.lock(), [caller]);
        assert_eq!(*world.toy.seen.tokens.lock(), [None]);
    }

    async fn a_server_stream_arrives_in_order_and_ends(world: World) {
        let request = Request::new(WatchRequest {}).with_token(world.approver());
        let frames = world.approvals().watch(request).await.unwrap().into_inner();
        let comments: Vec<_> = frames.map(|frame| frame.unwrap().approval.unwrap().comment).collect().await;
        assert_eq!(comments, ["0", "1", "2"]);
    }

    async fn a_server_stream_may_end_in_a_failure(world: World) {
        let failure = Failure::new(Code::Aborted, Reason::LeaseLost, "another node has it");
        world.toy.then(Act::Fail(failure.clone()));
        let request = Request::new(WatchRequest {}).with_token(world.approver());
        let mut frames = world.approvals().watch(request).await.unwrap().into_inner();
        for _ in 0..3 {
            frames.message().await.unwrap().unwrap();
        }
        assert_eq!(Failure::from(frames.message().await.unwrap_err()), failure);
        assert!(frames.message().await.unwrap().is_none());
    }

    async fn a_client_stream_is_read_to_its_end(world: World) {
        let frames = tokio_stream::iter(0..100).map(|_| UploadFileRequest {
            frame: Some(upload_file_request::Frame::Data(vec![7; 64 * 1024].into())),
        });
        let request = Request::new(frames).with_token(world.run_token());
        let answer = world.runtime().upload_file(request).await.unwrap().into_inner();
        assert_eq!(answer.size, 100 * 64 * 1024);
    }

    async fn frames_go_both_ways_at_once(world: World) {
        let (send, receive) = tokio::sync::mpsc::channel(1);
        let frames = tokio_stream::wrappers::ReceiverStream::new(receive);
        let request = Request::new(frames).with_token(world.run_token());
        let mut echo = world.egress().tunnel(request).await.unwrap().into_inner();
        for number in 0..50_u8 {
            let frame = Some(tunnel_request::Frame::Data(vec![number; 1000].into()));
            send.send(TunnelRequest { frame }).await.unwrap();
            let frame = echo.message().await.unwrap().unwrap().frame.unwrap();
            assert_eq!(frame, tunnel_response::Frame::Data(vec![number; 1000].into()));
        }
        drop(send);
        assert!(echo.message().await.unwrap().is_none());
    }

    async fn a_failure_arrives_whole(world: World) {
        let mut failure = Failure::new(Code::FailedPrecondition, Reason::WorkspaceElsewhere, "it lives on b");
        failure.retry_after = Some(Duration::from_secs(7));
        world.toy.then(Act::Fail(failure.clone()));
        let request = Request::new(ListRequest::default()).with_token(world.approver());
        let status = world.approvals().list(request).await.unwrap_err();
        assert_eq!(Failure::from(status), failure);
    }

    async fn many_calls_share_a_channel(world: World) {
        let client = world.egress();
        let token = world.run_token();
        let calls: Vec<_> = (0..200)
            .map(|_| {
                let (mut client, token) = (client.clone(), token.clone());
                tokio::spawn(async move {
                    let request = Request::new(CheckRequest::default()).with_token(&token);
                    client.check(request).await.unwrap().into_inner().reason
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), "done");
        }
        assert_eq!(world.toy.begun(), 200);
    }

    async fn streams_that_wait_leave_room_for_calls(world: World) {
        let client = world.approvals();
        let token = world.approver();
        let mut waiting = Vec::new();
        for _ in 0..5000 {
            world.toy.then(Act::Wait);
            let request = Request::new(WatchRequest {}).with_token(&token);
            waiting.push(client.clone().watch(request).await.unwrap().into_inner());
        }
        let request = Request::new(ListRequest::default()).with_token(&token);
        client.clone().list(request).await.unwrap();
    }
}

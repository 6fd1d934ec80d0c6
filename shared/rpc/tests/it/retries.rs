//! Only what may be repeated is repeated, only for failures that pass, and never for long.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::egress::v1::CheckRequest;
use harombe_proto::hitl::v1::ListRequest;
use harombe_rpc::RequestExt as _;
use tonic::Request;

use crate::on_both_paths;
use crate::toy::Act;
use crate::world::World;

fn unavailable() -> Act {
    Act::Fail(Failure::new(Code::Unavailable, Reason::Unavailable, "for now"))
}

fn asking(code: Code, reason: Reason, after: Duration) -> Act {
    let mut failure = Failure::new(code, reason, "come again");
    failure.retry_after = Some(after);
    Act::Fail(failure)
}

async fn check(world: &World, size: usize) -> Result<(), Failure> {
    let request = Request::new(CheckRequest {
        call: vec![1; size].into(),
    })
    .with_token(world.run_token());
    world
        .egress()
        .check(request)
        .await
        .map(drop)
        .map_err(Failure::from)
}

on_both_paths! {
    async fn a_repeatable_call_is_tried_three_times(world: World) {
        world.toy.then(unavailable()).then(unavailable());
        check(&world, 1000).await.unwrap();
        assert_eq!(world.toy.begun(), 3);
        world.toy.then(unavailable()).then(unavailable()).then(unavailable());
        assert_eq!(check(&world, 1000).await.unwrap_err().code, Code::Unavailable);
        assert_eq!(world.toy.begun(), 6);
    }

    async fn a_call_that_may_not_be_repeated_is_not(world: World) {
        world.toy.then(unavailable());
        let request = Request::new(ListRequest::default()).with_token(world.approver());
        let status = world.approvals().list(request).await.unwrap_err();
        assert_eq!(Failure::from(status).code, Code::Unavailable);
        assert_eq!(world.toy.begun(), 1);
    }

    async fn failures_that_do_not_pass_are_final(world: World) {
        let failures = [
            (Code::PermissionDenied, Reason::NotAllowed),
            (Code::Aborted, Reason::LeaseLost),
            (Code::Internal, Reason::Internal),
            (Code::Unavailable, Reason::AuditUnavailable),
        ];
        for (tries, (code, reason)) in failures.into_iter().enumerate() {
            world.toy.then(Act::Fail(Failure::new(code, reason, "no")));
            assert_eq!(check(&world, 10).await.unwrap_err().reason, reason);
            assert_eq!(world.toy.begun(), tries + 1);
        }
    }

    async fn retry_info_invites_another_try(world: World) {
        world.toy.then(asking(Code::Aborted, Reason::LeaseLost, Duration::from_millis(1)));
        world.toy.then(asking(Code::Unavailable, Reason::AuditUnavailable, Duration::from_millis(1)));
        check(&world, 10).await.unwrap();
        assert_eq!(world.toy.begun(), 3);
    }

    async fn a_wait_beyond_the_deadline_is_not_begun(world: World) {
        world.toy.then(asking(Code::ResourceExhausted, Reason::LimitExceeded, Duration::from_secs(3600)));
        assert_eq!(check(&world, 10).await.unwrap_err().reason, Reason::LimitExceeded);
        assert_eq!(world.toy.begun(), 1);
    }

    async fn a_large_request_is_sent_once(world: World) {
        world.toy.then(unavailable());
        assert_eq!(check(&world, 1024 * 1024).await.unwrap_err().code, Code::Unavailable);
        assert_eq!(world.toy.begun(), 1);
    }
}

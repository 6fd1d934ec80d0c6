use harombe_error::{Code, Failure, Reason};
use harombe_proto::audit::v1::audit_service_client::AuditServiceClient;
use harombe_proto::audit::v1::{
    AppendBatchRequest, AppendRequest, GetCheckpointRequest, GetConsistencyProofRequest,
    GetInclusionProofRequest, QueryRequest, query_response::Item,
};
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_proto::hitl::v1::{DecideRequest, ListRequest, WatchRequest};
use harombe_proto::types::v1::Decision;
use harombe_rpc::GrpcChannel;
use harombe_types::{ApprovalId, Role, ServiceName};

use crate::world::{INVALID, World, refused};

fn approvals(world: &World) -> ApprovalServiceClient<GrpcChannel> {
    ApprovalServiceClient::new(GrpcChannel::local(world.gateway.server(), ServiceName::Client))
}

#[tokio::test]
async fn approvals_are_decided_in_the_persons_name() {
    let world = World::new().await;
    let mut approvals = approvals(&world);
    assert_eq!(
        approvals
            .list(ListRequest::default())
            .await
            .unwrap()
            .into_inner()
            .approvals
            .len(),
        1
    );
    let request = DecideRequest {
        approval_id: ApprovalId::generate(&*world.clock).to_string(),
        decision: Decision::Approved.into(),
        unattended: true,
        comment: "yes".to_owned(),
    };
    let decided = approvals
        .decide(request.clone())
        .await
        .unwrap()
        .into_inner()
        .approval
        .unwrap();
    assert_eq!(decided.approval_id, request.approval_id);
    assert!(decided.unattended && decided.decision() == Decision::Approved && decided.comment == "yes");
    let person = world.hitl.seen.lock().last().unwrap().clone();
    assert_eq!(
        (person.tenant.as_str(), person.subject.as_str()),
        ("local", "owner")
    );
    assert_eq!(person.roles, Role::ALL.into());
    assert!(person.allow_self);
    let bad = DecideRequest {
        approval_id: "x".to_owned(),
        ..request
    };
    assert_eq!(refused(approvals.decide(bad)).await, INVALID);
}

#[tokio::test]
async fn a_watch_ends_as_hitls_does() {
    let world = World::new().await;
    let mut watched = approvals(&world)
        .watch(WatchRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(watched.message().await.unwrap().is_some());
    let lost = refused(watched.message()).await;
    assert_eq!(lost, (Code::Unavailable, Reason::HitlUnavailable));
}

#[tokio::test]
async fn what_hitl_refuses_keeps_its_reason_and_a_hitl_that_distrusts_us_is_not_there() {
    let world = World::new().await;
    for (code, reason) in [
        (Code::PermissionDenied, Reason::NotAllowed),
        (Code::FailedPrecondition, Reason::AlreadyDecided),
        (Code::FailedPrecondition, Reason::ApprovalExpired),
        (Code::Unavailable, Reason::AuditUnavailable),
    ] {
        *world.hitl.failure.lock() = Some(Failure::new(code, reason, "no"));
        assert_eq!(
            refused(approvals(&world).list(ListRequest::default())).await,
            (code, reason)
        );
    }
    let distrust = Failure::new(
        Code::Unauthenticated,
        Reason::Unauthenticated,
        "token has expired",
    );
    *world.hitl.failure.lock() = Some(distrust);
    let failure = refused(approvals(&world).list(ListRequest::default())).await;
    assert_eq!(failure, (Code::Unavailable, Reason::HitlUnavailable));
}

#[tokio::test]
async fn the_log_is_read_through_the_door_and_never_written() {
    let world = World::new().await;
    let mut log = AuditServiceClient::new(GrpcChannel::local(world.gateway.server(), ServiceName::Client));
    let request = QueryRequest {
        from_index: 7,
        ..QueryRequest::default()
    };
    let item = log
        .query(request)
        .await
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap()
        .item;
    assert!(matches!(item, Some(Item::End(end)) if end.complete_to == 7));
    assert_eq!(
        log.get_checkpoint(GetCheckpointRequest {})
            .await
            .unwrap()
            .into_inner()
            .checkpoint,
        "a note"
    );
    let proof = GetInclusionProofRequest {
        index: 3,
        tree_size: 9,
    };
    assert_eq!(
        log.get_inclusion_proof(proof).await.unwrap().into_inner().index,
        3
    );
    let proof = GetConsistencyProofRequest {
        old_size: 5,
        new_size: 9,
    };
    assert_eq!(
        log.get_consistency_proof(proof)
            .await
            .unwrap()
            .into_inner()
            .old_size,
        5
    );
    assert_eq!(world.log.seen.lock().len(), 4);

    let refusal = (Code::PermissionDenied, Reason::NotAllowed);
    assert_eq!(refused(log.append(AppendRequest::default())).await, refusal);
    assert_eq!(
        refused(log.append_batch(AppendBatchRequest::default())).await,
        refusal
    );
}

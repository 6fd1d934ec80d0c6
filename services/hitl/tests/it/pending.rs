//! How many calls may wait for people at once.

use harombe_error::{Failure, Reason, ServiceError as _};
use harombe_hitl::Config;
use harombe_proto::types::v1::Decision;
use harombe_trail::Kind;
use harombe_types::RunPrincipal;
use tonic::Code;

use crate::world::{World, approver, details};

async fn with_room_for(per_subject: u32, per_tenant: u32) -> World {
    let mut config = Config::default();
    config.limits.pending_per_subject = per_subject;
    config.limits.pending_per_tenant = per_tenant;
    World::with(config).await
}

/// Asks for a new call that a person would have to approve, in vain; what is said.
async fn refused(world: &World, run: &RunPrincipal) -> String {
    let status = world.authorize(run, &world.python(run)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let failure = Failure::from(status);
    assert_eq!(failure.reason(), Reason::LimitExceeded);
    assert!(failure.retry_after().is_some(), "not a limit of size");
    failure.message
}

#[tokio::test]
async fn a_subject_whose_calls_wait_asks_for_no_more_until_one_is_decided() {
    let world = with_room_for(2, 100).await;
    // two runs of one subject, so that it does not help to begin another
    let (run, other) = (world.run("ann"), world.run("ann"));
    let first = world.python(&run);
    let id = world.pending(&run, &first).await;
    world.pending(&other, &world.python(&other)).await;
    for run in [&run, &other] {
        let said = refused(&world, run).await;
        assert!(
            said.contains("hitl.limits.pending_per_subject") && said.contains('2'),
            "{said}"
        );
    }
    assert_eq!(world.list(&approver(), true).await.len(), 2);
    assert_eq!(world.sink.of_kind(Kind::ApprovalRequested).len(), 2);
    assert!(world.shows("harombe_hitl_requests_refused_total{limit=\"subject\"} 2"));
    let event = world.sink.wait_for_kind(Kind::RpcRefused).await;
    let details = details(&event);
    assert_eq!(details["reason"], "LIMIT_EXCEEDED");
    assert_eq!(
        details["method"],
        "/harombe.hitl.v1.AuthorizationService/Authorize"
    );
    assert_eq!(details["caller"], "runtime");

    // what waits already is answered, what no person is asked about is granted, and others are not in the way
    assert_eq!(world.pending(&run, &first).await, id);
    world.granted(&run, &world.file_list(&run)).await;
    let eve = world.run("eve");
    world.pending(&eve, &world.python(&eve)).await;

    world.decide(&approver(), &id, Decision::Denied).await.unwrap();
    world.pending(&run, &world.python(&run)).await;
    refused(&world, &run).await;
}

#[tokio::test]
async fn a_tenant_has_a_limit_of_its_own_and_no_other_tenants() {
    let world = with_room_for(2, 3).await;
    for subject in ["ann", "ann", "eve"] {
        let run = world.run(subject);
        world.pending(&run, &world.python(&run)).await;
    }
    let said = refused(&world, &world.run("eve")).await;
    assert!(said.contains("hitl.limits.pending_per_tenant"), "{said}");
    let elsewhere = RunPrincipal {
        tenant: harombe_testkit::tenant("elsewhere"),
        ..world.run("eve")
    };
    world.pending(&elsewhere, &world.python(&elsewhere)).await;
}

#[tokio::test]
async fn what_the_deadline_denied_makes_room() {
    let world = with_room_for(1, 100).await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    refused(&world, &run).await;
    world.clock.advance(std::time::Duration::from_secs(15 * 60));
    assert_eq!(world.decision(&run, &id).await.decision(), Decision::Expired);
    world.pending(&run, &world.python(&run)).await;
}

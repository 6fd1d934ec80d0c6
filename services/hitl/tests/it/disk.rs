//! A disk that fills up: nothing is approved or spent that is not kept, and all goes on when there is room again.

use std::io::Write as _;

use harombe_error::{Failure, Reason, ServiceError as _};
use harombe_hitl::Config;
use harombe_proto::types::v1::Decision;
use harombe_testkit::Disk;
use harombe_trail::Kind;
use tonic::{Code, Status};

use crate::world::{BROKER, World, approver, reason};

/// Takes what room is left.
fn fill(disk: &Disk) {
    let mut file = std::fs::File::create(disk.path().join("filler")).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
}

fn assert_full<T: std::fmt::Debug>(result: Result<T, Status>) {
    let status = result.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let failure = Failure::from(status);
    assert_eq!(failure.reason(), Reason::StoreUnavailable, "{failure}");
    assert!(failure.retry_after().is_some());
}

#[tokio::test]
async fn a_full_disk_approves_and_spends_nothing_and_is_over_when_there_is_room() {
    let disk = Disk::of("2m");
    let world = World::at(Config::default(), Some(disk.path().join("hitl"))).await;
    let run = world.run("ann");
    let (call, later) = (world.python(&run), world.python(&run));
    let id = world.pending(&run, &call).await;
    let harmless = world.file_list(&run);
    let grant = world.granted(&run, &harmless).await;
    fill(&disk);

    assert_full(world.authorize(&run, &later).await);
    assert_full(world.decide(&approver(), &id, Decision::Approved).await);
    assert_full(world.redeem(BROKER, &grant, &harmless).await);
    let [shown] = &world.list(&approver(), true).await[..] else {
        panic!("one request")
    };
    assert_eq!(
        (&shown.approval_id, shown.decision()),
        (&id, Decision::Unspecified)
    );
    for (kind, count) in [
        (Kind::ApprovalRequested, 1),
        (Kind::ApprovalDecided, 0),
        (Kind::GrantRedeemed, 0),
    ] {
        assert_eq!(world.sink.of_kind(kind).len(), count, "{kind}");
    }

    disk.grow("16m");
    world.decide(&approver(), &id, Decision::Approved).await.unwrap();
    assert!(!world.pending(&run, &later).await.is_empty());
    world.redeem(BROKER, &grant, &harmless).await.unwrap();
    let world = world.restarted().await;
    assert_eq!(world.decision(&run, &id).await.decision(), Decision::Approved);
    let again = world.redeem(BROKER, &grant, &harmless).await;
    assert_eq!(reason(again), Reason::GrantRedeemed);
}

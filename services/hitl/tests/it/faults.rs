//! What happens when audit or the disk does not play along.

use std::time::Duration;

use harombe_error::Reason;
use harombe_hitl::{BuildError, Config};
use harombe_proto::types::v1::Decision;
use harombe_rpc::TaskSet;
use harombe_testkit::{AuditSink, Fault, TestPki};
use harombe_trail::Kind;
use harombe_types::{RunPrincipal, ServiceName};

use crate::world::{BROKER, World, approver, reason};

#[tokio::test]
async fn without_audit_nothing_is_granted_decided_or_redeemed_and_nothing_is_lost() {
    let world = World::new().await;
    let run = world.run("ann");
    let (python, later) = (world.python(&run), world.python(&run));
    let (spent, unspent) = (world.file_list(&run), world.file_list(&run));
    let id = world.pending(&run, &python).await;
    let grant = world.granted(&run, &spent).await;
    world.sink.fail(Fault::Unavailable);

    let person = approver();
    let (granted, asked, decided, redeemed) = tokio::join!(
        world.authorize(&run, &unspent),
        world.authorize(&run, &later),
        world.decide(&person, &id, Decision::Approved),
        world.redeem(BROKER, &grant, &spent),
    );
    assert_eq!(reason(granted), Reason::AuditUnavailable);
    assert_eq!(reason(asked), Reason::AuditUnavailable);
    assert_eq!(reason(decided), Reason::AuditUnavailable);
    assert_eq!(reason(redeemed), Reason::AuditUnavailable);
    let [shown] = &world.list(&person, true).await[..] else {
        panic!("one known approval")
    };
    assert_eq!(
        (shown.approval_id.as_str(), shown.decision()),
        (id.as_str(), Decision::Unspecified)
    );

    world.sink.fail(Fault::None);
    let decision = world.decision(&run, &id).await;
    assert_eq!(decision.decision(), Decision::Approved);
    assert_eq!(world.sink.of_kind(Kind::ApprovalDecided).len(), 1);
    assert_eq!(
        reason(world.redeem(BROKER, &grant, &spent).await),
        Reason::GrantRedeemed
    );
    assert!(!world.pending(&run, &later).await.is_empty());
    assert_eq!(world.sink.of_kind(Kind::ApprovalRequested).len(), 2);
}

#[tokio::test]
async fn what_a_crash_left_unrecorded_is_recorded_once_after_the_restart() {
    let world = World::new().await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    world.sink.fail(Fault::Rejects(Kind::ApprovalDecided));
    assert_eq!(
        reason(world.decide(&approver(), &id, Decision::Denied).await),
        Reason::Internal
    );
    let world = world.restarted().await;
    assert_eq!(
        world.list(&approver(), true).await[0].decision(),
        Decision::Unspecified
    );
    world.sink.fail(Fault::None);
    // it may have been tried, and rests
    world.clock.advance(Duration::from_secs(600));
    let event = world.sink.wait_for_kind(Kind::ApprovalDecided).await;
    assert_eq!((event.outcome.as_str(), &event.approval_id), ("denied", &id));
    assert_eq!(world.decision(&run, &id).await.decision(), Decision::Denied);
    assert_eq!(world.sink.of_kind(Kind::ApprovalDecided).len(), 1);
}

#[tokio::test]
async fn a_record_that_audit_refuses_holds_up_no_other_and_is_tried_again() {
    let world = World::new().await;
    let mine = world.run("ann");
    let theirs = RunPrincipal {
        tenant: harombe_testkit::tenant("elsewhere"),
        ..world.run("eve")
    };
    world.sink.fail(Fault::RejectsTenant(theirs.tenant.clone()));
    // The oldest of all, so that whoever looks in order meets it first.
    let stuck = world.authorize(&theirs, &world.python(&theirs)).await;
    assert_eq!(reason(stuck), Reason::Internal);
    world.clock.advance(Duration::from_secs(1));
    let id = world.pending(&mine, &world.python(&mine)).await;
    world.clock.advance(Duration::from_secs(3600));
    let event = world.sink.wait_for_kind(Kind::ApprovalDecided).await;
    assert_eq!((event.outcome.as_str(), &event.approval_id), ("expired", &id));
    let failures = world.metrics.encode();
    assert!(
        failures.contains("harombe_hitl_sweep_failures_total{of=\"record\"}"),
        "{failures}"
    );

    world.sink.fail(Fault::None);
    // It rests, and is then recorded and expired too.
    world.clock.advance(Duration::from_secs(3600));
    world.sink.wait_for(4).await;
    let events = world.sink.events().into_iter();
    let kinds: Vec<_> = events
        .filter(|event| event.tenant == "elsewhere")
        .map(|event| event.kind)
        .collect();
    assert_eq!(kinds, ["approval.requested", "approval.decided"]);
}

async fn refused(config: Config, prepare: impl FnOnce(&std::path::Path)) -> BuildError {
    let clock = harombe_testkit::clock();
    let pki = TestPki::new(clock.clone());
    let sink = AuditSink::new(&pki, clock.clone());
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let deps = harombe_hitl::Deps {
        metrics: harombe_rpc::Metrics::new(),
        clock: clock.clone(),
        identity: pki.identity(ServiceName::Hitl),
        trail: sink.trail(ServiceName::Hitl, clock, &TaskSet::new()),
        data: dir.path().to_owned(),
    };
    match harombe_hitl::build(config, deps).await {
        Ok(_) => panic!("was built"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_bad_start_says_what_to_do() {
    let mut config = Config {
        trusted_hosts: vec!["https://x".to_owned()],
        ..Config::default()
    };
    config.limits.processes = 0;
    let shown = refused(config, |_| {}).await.to_string();
    assert!(
        shown.contains("hitl.trusted_hosts") && shown.contains("hitl.limits.processes"),
        "{shown}"
    );

    let config = Config {
        rules: vec!["/does/not/exist.toml".into()],
        ..Config::default()
    };
    let shown = refused(config, |_| {}).await.to_string();
    assert!(shown.contains("/does/not/exist.toml"), "{shown}");

    let shown = refused(Config::default(), |dir| {
        std::fs::write(dir.join("hitl.db"), vec![7; 8192]).unwrap();
    })
    .await;
    assert!(
        matches!(shown, BuildError::Store(harombe_sql::Error::Corrupt { .. })),
        "{shown:?}"
    );
}

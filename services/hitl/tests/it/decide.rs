//! People decide, or the deadline does.

use std::time::Duration;

use harombe_error::Reason;
use harombe_proto::hitl::v1::await_decision_response::Update;
use harombe_proto::types::v1::Decision;
use harombe_rpc::RequestExt as _;
use harombe_trail::Kind;
use harombe_types::{Role, ServiceName};

use crate::world::{BROKER, World, approver, details, reason, until_decided};

#[tokio::test]
async fn a_yes_brings_a_grant_to_the_run_that_waits() {
    let world = World::new().await;
    let run = world.run("ann");
    let call = world.python(&run);
    let id = world.pending(&run, &call).await;
    let mut stream = world.await_decision(&run, &id).await.unwrap();
    let first = stream.message().await.unwrap().unwrap();
    assert!(matches!(first.update, Some(Update::Waiting(_))));
    // The grant's minute begins when it is delivered.
    world.clock.advance(Duration::from_secs(600));

    let shown = world.decide(&approver(), &id, Decision::Approved).await.unwrap();
    assert_eq!(
        (shown.decision(), shown.decided_by.as_str()),
        (Decision::Approved, "bob")
    );
    let decided = until_decided(&mut stream).await;
    assert_eq!(
        (decided.decision(), decided.decided_by.as_str()),
        (Decision::Approved, "bob")
    );
    assert_eq!((decided.unattended, decided.comment.as_str()), (true, "seen"));
    let grant = world.verified(&decided.grant, BROKER);
    assert!(harombe_grant::check_call(&grant, &call).is_ok());
    assert!(world.redeem(BROKER, &decided.grant, &call).await.is_ok());

    let [event] = &world.sink.of_kind(Kind::ApprovalDecided)[..] else {
        panic!("one event")
    };
    assert_eq!((event.outcome.as_str(), &event.approval_id), ("ok", &id));
    let details = details(event);
    assert_eq!(
        (&details["by"], &details["self"], &details["unattended"]),
        (&"bob".into(), &false.into(), &true.into())
    );
}

#[tokio::test]
async fn a_no_brings_none() {
    let world = World::new().await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    world.decide(&approver(), &id, Decision::Denied).await.unwrap();
    let decided = world.decision(&run, &id).await;
    assert_eq!(
        (decided.decision(), decided.grant.as_str()),
        (Decision::Denied, "")
    );
    assert_eq!(world.sink.of_kind(Kind::ApprovalDecided)[0].outcome, "denied");
    assert!(world.sink.of_kind(Kind::CallAuthorized).is_empty());
}

#[tokio::test]
async fn nobody_decides_for_themselves_unless_allowed() {
    let world = World::new().await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    let mut ann = harombe_testkit::person("ann");
    assert_eq!(
        reason(world.decide(&ann, &id, Decision::Approved).await),
        Reason::NotAllowed
    );
    assert_eq!(
        reason(world.decide(&ann, &id, Decision::Denied).await),
        Reason::NotAllowed
    );
    assert!(world.sink.of_kind(Kind::ApprovalDecided).is_empty());
    ann.allow_self = true;
    world.decide(&ann, &id, Decision::Approved).await.unwrap();
    assert_eq!(
        details(&world.sink.of_kind(Kind::ApprovalDecided)[0])["self"],
        true
    );
}

#[tokio::test]
async fn a_decision_is_made_once() {
    let world = World::new().await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    let first = world.decide(&approver(), &id, Decision::Denied).await.unwrap();
    assert_eq!(
        world.decide(&approver(), &id, Decision::Denied).await.unwrap(),
        first
    );
    assert_eq!(
        reason(world.decide(&approver(), &id, Decision::Approved).await),
        Reason::AlreadyDecided
    );
    assert_eq!(
        reason(world.decide(&approver(), &id, Decision::Expired).await),
        Reason::InvalidArgument
    );
    assert_eq!(world.sink.of_kind(Kind::ApprovalDecided).len(), 1);
}

#[tokio::test]
async fn a_comment_has_at_most_a_kibibyte() {
    let world = World::new().await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    let token = world.pki.person_token(&approver(), ServiceName::Hitl);
    let decide = |length: usize| {
        let request = harombe_proto::hitl::v1::DecideRequest {
            approval_id: id.clone(),
            decision: Decision::Denied.into(),
            comment: "x".repeat(length),
            ..Default::default()
        };
        tonic::Request::new(request).with_token(&token)
    };
    let refused = world.approvals().decide(decide(1025)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(world.sink.of_kind(Kind::ApprovalDecided).is_empty());
    world.approvals().decide(decide(1024)).await.unwrap();
}

#[tokio::test]
async fn of_many_who_decide_at_once_one_prevails() {
    let world = World::new().await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    let person = approver();
    let decisions = [
        Decision::Approved,
        Decision::Denied,
        Decision::Approved,
        Decision::Denied,
    ];
    let answers =
        futures_util::future::join_all(decisions.map(|decision| world.decide(&person, &id, decision))).await;
    let kept = world.decision(&run, &id).await.decision();
    for (wanted, answer) in decisions.into_iter().zip(answers) {
        match answer {
            Ok(shown) => assert_eq!((shown.decision(), wanted), (kept, kept)),
            refused => assert_eq!(reason(refused), Reason::AlreadyDecided),
        }
    }
    assert_eq!(world.sink.of_kind(Kind::ApprovalDecided).len(), 1);
}

#[tokio::test]
async fn after_the_deadline_it_is_denied_and_a_late_yes_is_refused() {
    let world = World::new().await;
    let run = world.run("ann");
    let call = world.python(&run);
    let id = world.pending(&run, &call).await;
    world.clock.advance(Duration::from_secs(15 * 60));
    let person = approver();
    assert_eq!(
        reason(world.decide(&person, &id, Decision::Approved).await),
        Reason::ApprovalExpired
    );
    let run_again = world.decision(&run, &id).await;
    assert_eq!(
        (run_again.decision(), run_again.grant.as_str()),
        (Decision::Expired, "")
    );
    assert!(world.list(&person, false).await.is_empty());
    let [event] = &world.sink.of_kind(Kind::ApprovalDecided)[..] else {
        panic!("one event")
    };
    assert_eq!(event.outcome, "expired");
}

#[tokio::test]
async fn a_deadline_passes_without_anybody_asking() {
    let world = World::new().await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    world.clock.advance(Duration::from_secs(15 * 60));
    let event = world.sink.wait_for_kind(Kind::ApprovalDecided).await;
    assert_eq!((event.outcome.as_str(), event.approval_id), ("expired", id));
}

#[tokio::test]
async fn nobody_sees_or_decides_what_is_not_theirs() {
    let world = World::new().await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    let mut stranger = approver();
    stranger.tenant = "elsewhere".parse().unwrap();
    assert_eq!(
        reason(world.decide(&stranger, &id, Decision::Approved).await),
        Reason::NotFound
    );
    assert!(world.list(&stranger, true).await.is_empty());
    for other in [world.run("ann"), world.run("bob")] {
        assert_eq!(reason(world.await_decision(&other, &id).await), Reason::NotFound);
    }
    assert_eq!(
        reason(world.await_decision(&run, "7").await),
        Reason::InvalidArgument
    );
    assert_eq!(
        reason(world.decide(&approver(), "7", Decision::Approved).await),
        Reason::InvalidArgument
    );
    let mut user = approver();
    user.roles = [Role::User].into();
    assert_eq!(
        reason(world.decide(&user, &id, Decision::Approved).await),
        Reason::NotAllowed
    );
}

#[tokio::test]
async fn a_watcher_sees_what_waits_and_then_every_change() {
    let world = World::new().await;
    let run = world.run("ann");
    let first = world.pending(&run, &world.python(&run)).await;
    let mut watch = world.watch(&approver()).await;
    let seen = watch.message().await.unwrap().unwrap().approval.unwrap();
    assert_eq!(
        (seen.approval_id, seen.decision),
        (first.clone(), Decision::Unspecified.into())
    );
    let second = world.pending(&run, &world.python(&run)).await;
    let seen = watch.message().await.unwrap().unwrap().approval.unwrap();
    assert_eq!(seen.approval_id, second);
    world.decide(&approver(), &first, Decision::Denied).await.unwrap();
    let seen = watch.message().await.unwrap().unwrap().approval.unwrap();
    assert_eq!(
        (seen.approval_id, seen.decision),
        (first, Decision::Denied.into())
    );
}

#[tokio::test]
async fn requests_and_decisions_survive_a_restart() {
    let world = World::new().await;
    let run = world.run("ann");
    let (waiting, decided) = (world.python(&run), world.python(&run));
    let (waiting_id, decided_id) = (
        world.pending(&run, &waiting).await,
        world.pending(&run, &decided).await,
    );
    world
        .decide(&approver(), &decided_id, Decision::Approved)
        .await
        .unwrap();
    let world = world.restarted().await;
    assert_eq!(world.pending(&run, &waiting).await, waiting_id);
    let shown = world.list(&approver(), false).await;
    assert_eq!(
        shown
            .iter()
            .map(|one| one.approval_id.as_str())
            .collect::<Vec<_>>(),
        [waiting_id.as_str()]
    );
    assert_eq!(world.pending(&run, &decided).await, decided_id);
    let decision = world.decision(&run, &decided_id).await;
    assert!(world.redeem(BROKER, &decision.grant, &decided).await.is_ok());
}

#[tokio::test]
async fn a_stream_that_ends_because_hitl_stops_says_so() {
    let world = World::new().await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    let mut waiting = world.await_decision(&run, &id).await.unwrap();
    let mut watching = world.watch(&approver()).await;
    assert!(waiting.message().await.is_ok() && watching.message().await.is_ok());
    let world = world.restarted().await;
    assert_eq!(reason(waiting.message().await), Reason::Unavailable);
    assert_eq!(reason(watching.message().await), Reason::Unavailable);
    world.decide(&approver(), &id, Decision::Denied).await.unwrap();
    assert_eq!(world.decision(&run, &id).await.decision(), Decision::Denied);
}

#[tokio::test]
async fn only_the_gateway_speaks_for_people_and_only_runtime_for_runs() {
    let world = World::new().await;
    let run = world.run("ann");
    let token = world.pki.person_token(&approver(), ServiceName::Hitl);
    let list = || tonic::Request::new(harombe_proto::hitl::v1::ListRequest::default()).with_token(&token);
    let channel = harombe_rpc::GrpcChannel::local(world.service.server(), ServiceName::Runtime);
    let mut as_runtime =
        harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient::new(channel);
    assert_eq!(reason(as_runtime.list(list()).await), Reason::NotAllowed);
    let grant = world.granted(&run, &world.file_list(&run)).await;
    let call = world.file_list(&run);
    assert_eq!(
        reason(world.redeem(ServiceName::Runtime, &grant, &call).await),
        Reason::NotAllowed
    );
}

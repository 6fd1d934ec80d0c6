//! What was asked on behalf of a person is erased, and what waits ends first.

use std::collections::BTreeSet;
use std::time::Duration;

use harombe_error::Reason;
use harombe_hitl::Config;
use harombe_proto::hitl::v1::authorize_response::Outcome;
use harombe_proto::hitl::v1::erasure_service_client::ErasureServiceClient;
use harombe_proto::hitl::v1::{ErasePersonRequest, ErasePersonResponse, WatchResponse};
use harombe_proto::types::v1::Decision;
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_testkit::Fault;
use harombe_trail::Kind;
use harombe_types::{Person, Role, RunPrincipal, ServiceName};
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use tonic::{Request, Status, Streaming};

use crate::replicas::two;
use crate::world::{BROKER, World, approver, details, reason, until_decided};

impl World {
    async fn erase_as(
        &self,
        caller: ServiceName,
        admin: &Person,
        subject: &str,
    ) -> Result<ErasePersonResponse, Status> {
        let channel = GrpcChannel::local(self.service.server(), caller);
        let request = ErasePersonRequest {
            subject: subject.to_owned(),
        };
        let token = self.pki.person_token(admin, ServiceName::Hitl);
        let erased = ErasureServiceClient::new(channel)
            .erase_person(Request::new(request).with_token(&token))
            .await?;
        Ok(erased.into_inner())
    }

    async fn erase(&self, subject: &str) -> Result<ErasePersonResponse, Status> {
        self.erase_as(ServiceName::Gateway, &admin(), subject).await
    }

    /// Two requests of a run, by their ids.
    async fn one_waits_and_one_is_denied(&self, run: &RunPrincipal) -> (String, String) {
        let waits = self.pending(run, &self.python(run)).await;
        let denied = self.pending(run, &self.python(run)).await;
        self.decide(&approver(), &denied, Decision::Denied).await.unwrap();
        (waits, denied)
    }
}

/// Has no other role.
fn admin() -> Person {
    Person {
        roles: [Role::Admin].into(),
        ..harombe_testkit::person("root")
    }
}

fn all(approvals: u64) -> ErasePersonResponse {
    ErasePersonResponse {
        approvals,
        more: false,
    }
}

/// What a watcher is told next about that request.
async fn next_of(watch: &mut Streaming<WatchResponse>, id: &str) -> Decision {
    loop {
        let shown = watch.message().await.unwrap().unwrap().approval.unwrap();
        if shown.approval_id == id {
            return shown.decision();
        }
    }
}

/// Waits until the watcher is told that the request waits no more.
async fn until_over(watch: &mut Streaming<WatchResponse>, id: &str) -> Decision {
    loop {
        match next_of(watch, id).await {
            Decision::Unspecified => {}
            decision => return decision,
        }
    }
}

#[tokio::test]
async fn what_was_asked_for_a_person_is_erased_and_what_waits_is_denied_first() {
    let world = World::new().await;
    let ann = world.run("ann");
    let [spent, unspent, denied, waits] = [(); 4].map(|()| world.python(&ann));
    let mut ids = Vec::new();
    for (call, decision) in [
        (&spent, Decision::Approved),
        (&unspent, Decision::Approved),
        (&denied, Decision::Denied),
    ] {
        let id = world.pending(&ann, call).await;
        world.decide(&approver(), &id, decision).await.unwrap();
        ids.push(id);
    }
    let grant = world.decision(&ann, &ids[0]).await.grant;
    world.redeem(BROKER, &grant, &spent).await.unwrap();
    ids.push(world.pending(&ann, &waits).await);
    let mut stream = world.await_decision(&ann, &ids[3]).await.unwrap();
    stream.message().await.unwrap();
    let mut watch = world.watch(&approver()).await;
    assert_eq!(next_of(&mut watch, &ids[3]).await, Decision::Unspecified);

    assert_eq!(world.erase("ann").await.unwrap(), all(4));
    let told = until_decided(&mut stream).await;
    assert_eq!((told.decision(), told.grant.as_str()), (Decision::Denied, ""));
    assert!(told.comment.contains("erased"), "{}", told.comment);
    assert_eq!(until_over(&mut watch, &ids[3]).await, Decision::Denied);

    // the log has the end of what waited, then the erasure, which is the admin's
    let events = world.sink.events();
    let [.., end, erasure] = &events[..] else {
        panic!("events")
    };
    assert_eq!(
        (end.kind.as_str(), end.outcome.as_str()),
        ("approval.decided", "denied")
    );
    assert_eq!(
        (&end.approval_id, details(end)["by"].as_str()),
        (&ids[3], Some("root"))
    );
    assert_eq!(erasure.kind, "approval.erased");
    assert_eq!(
        (erasure.principal.as_str(), erasure.subject.as_str()),
        ("person:root", "root")
    );
    assert_eq!(details(erasure), json!({ "subject": "ann", "approvals": 4 }));

    // nobody finds it, and no call is given away by it
    assert!(world.list(&approver(), true).await.is_empty());
    for id in &ids {
        assert_eq!(reason(world.await_decision(&ann, id).await), Reason::NotFound);
        let late = world.decide(&approver(), id, Decision::Approved).await;
        assert_eq!(reason(late), Reason::NotFound);
    }
    assert_eq!(
        reason(world.redeem(BROKER, &grant, &spent).await),
        Reason::GrantRedeemed
    );
    let again = world.authorize(&ann, &spent).await.unwrap();
    assert!(matches!(again.outcome, Some(Outcome::AlreadyRedeemed(_))));
    assert_ne!(
        world.pending(&ann, &unspent).await,
        ids[1],
        "a person decides anew"
    );
    assert_eq!(world.erase("ann").await.unwrap(), all(1));
}

#[tokio::test]
async fn what_is_others_stays_and_where_there_is_nothing_nothing_is_recorded() {
    let world = World::new().await;
    let (ann, eve) = (world.run("ann"), world.run("eve"));
    let elsewhere = RunPrincipal {
        tenant: harombe_testkit::tenant("elsewhere"),
        ..world.run("ann")
    };
    let anns = world.pending(&ann, &world.python(&ann)).await;
    let eves = world.pending(&eve, &world.python(&eve)).await;
    let theirs = world.pending(&elsewhere, &world.python(&elsewhere)).await;
    assert_eq!(world.erase("ann").await.unwrap(), all(1));
    let world = world.restarted().await;
    let listed = world.list(&approver(), true).await;
    assert_eq!((listed.len(), &listed[0].approval_id), (1, &eves));
    world
        .decide(&approver(), &eves, Decision::Approved)
        .await
        .unwrap();
    assert!(!world.decision(&eve, &eves).await.grant.is_empty());
    let mut stream = world.await_decision(&elsewhere, &theirs).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    assert_eq!(reason(world.await_decision(&ann, &anns).await), Reason::NotFound);

    let before = world.sink.events().len();
    for nobody in ["ann", "nobody"] {
        assert_eq!(world.erase(nobody).await.unwrap(), all(0));
    }
    assert_eq!(world.sink.events().len(), before);
}

#[tokio::test]
async fn more_than_one_call_erases_takes_several() {
    let world = World::new().await;
    let run = world.run("ann");
    let mut waiting = BTreeSet::new();
    for _ in 0..70 {
        waiting.insert(world.pending(&run, &world.python(&run)).await);
    }
    let mut parts = Vec::new();
    loop {
        let erased = world.erase("ann").await.unwrap();
        parts.push(erased.approvals);
        if !erased.more {
            break;
        }
    }
    assert_eq!(parts, [32, 32, 6]);
    let ended = world.sink.of_kind(Kind::ApprovalDecided);
    assert!(ended.iter().all(|event| event.outcome == "denied"));
    let ended: Vec<_> = ended.into_iter().map(|event| event.approval_id).collect();
    assert_eq!((ended.len(), ended.into_iter().collect()), (70, waiting));
    let recorded = world.sink.of_kind(Kind::ApprovalErased);
    let counts: Vec<_> = recorded
        .iter()
        .map(|event| details(event)["approvals"].as_u64())
        .collect();
    assert_eq!(counts, [Some(32), Some(32), Some(6)]);
}

#[tokio::test]
async fn without_audit_nothing_is_erased() {
    let world = World::new().await;
    let run = world.run("ann");
    let (waits, denied) = world.one_waits_and_one_is_denied(&run).await;
    world.sink.fail(Fault::Unavailable);
    assert_eq!(reason(world.erase("ann").await), Reason::AuditUnavailable);
    let listed = world.list(&approver(), true).await;
    let shown: BTreeSet<_> = listed
        .iter()
        .map(|approval| (approval.approval_id.clone(), approval.decision()))
        .collect();
    assert_eq!(
        shown,
        [(waits.clone(), Decision::Unspecified), (denied, Decision::Denied)].into()
    );

    // and not when only the erasure cannot be recorded, though what waited has ended
    world.sink.fail(Fault::Rejects(Kind::ApprovalErased));
    assert_eq!(reason(world.erase("ann").await), Reason::Internal);
    assert_eq!(world.list(&approver(), true).await.len(), 2);
    assert_eq!(world.decision(&run, &waits).await.decision(), Decision::Denied);
    world.sink.fail(Fault::None);
    assert_eq!(world.erase("ann").await.unwrap(), all(2));
    assert!(world.list(&approver(), true).await.is_empty());
}

#[tokio::test]
async fn a_request_whose_end_audit_refuses_stays_until_it_takes_it_and_keeps_no_other() {
    let world = World::new().await;
    let run = world.run("ann");
    let (waits, _) = world.one_waits_and_one_is_denied(&run).await;
    world.sink.fail(Fault::Rejects(Kind::ApprovalDecided));
    let part = ErasePersonResponse {
        approvals: 1,
        more: true,
    };
    assert_eq!(world.erase("ann").await.unwrap(), part);
    assert_eq!(reason(world.erase("ann").await), Reason::Internal);
    let listed = world.list(&approver(), true).await;
    assert_eq!(
        (listed.len(), &listed[0].approval_id, listed[0].decision()),
        (1, &waits, Decision::Unspecified)
    );
    world.sink.fail(Fault::None);
    assert_eq!(world.erase("ann").await.unwrap(), all(1));
    let ends = world.sink.of_kind(Kind::ApprovalDecided);
    let of_it = ends.iter().filter(|event| event.approval_id == waits).count();
    assert_eq!((ends.len(), of_it), (2, 1));
}

#[tokio::test]
async fn what_the_deadline_denies_or_was_never_made_known_is_erased_as_well() {
    let world = World::new().await;
    let run = world.run("ann");
    let call = world.python(&run);
    world.sink.fail(Fault::Rejects(Kind::ApprovalRequested));
    assert_eq!(reason(world.authorize(&run, &call).await), Reason::Internal);
    world.sink.fail(Fault::None);
    assert_eq!(world.erase("ann").await.unwrap(), all(1));
    let kinds: Vec<_> = world.sink.events().into_iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        ["approval.requested", "approval.decided", "approval.erased"]
    );

    let late = world.pending(&run, &world.python(&run)).await;
    world.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(world.erase("ann").await.unwrap(), all(1));
    let end = world.sink.of_kind(Kind::ApprovalDecided).remove(1);
    assert_eq!((&end.approval_id, end.outcome.as_str()), (&late, "expired"));
}

#[tokio::test]
async fn of_one_who_decides_and_one_who_erases_at_once_both_are_on_record() {
    let world = World::new().await;
    let run = world.run("ann");
    let person = approver();
    for round in 1..=20 {
        let id = world.pending(&run, &world.python(&run)).await;
        let mut stream = world.await_decision(&run, &id).await.unwrap();
        let decides = async {
            for _ in 0..round % 5 {
                tokio::task::yield_now().await;
            }
            world.decide(&person, &id, Decision::Approved).await
        };
        let (decided, erased) = tokio::join!(decides, world.erase("ann"));
        let mut left = erased.unwrap();
        while left.more {
            left = world.erase("ann").await.unwrap();
        }
        let told = until_decided(&mut stream).await;
        let ends = world.sink.of_kind(Kind::ApprovalDecided);
        let [end] = &ends
            .iter()
            .filter(|event| event.approval_id == id)
            .collect::<Vec<_>>()[..]
        else {
            panic!("one end")
        };
        match decided {
            Ok(_) => assert_eq!(end.outcome, "ok"),
            Err(refused) => {
                let reason = reason::<()>(Err(refused));
                assert!(
                    [Reason::NotFound, Reason::AlreadyDecided].contains(&reason),
                    "{reason:?}"
                );
                assert_eq!(end.outcome, "denied");
                assert_eq!((told.decision(), told.grant.as_str()), (Decision::Denied, ""));
            }
        }
        assert!(world.list(&person, true).await.is_empty());
        assert_eq!(reason(world.await_decision(&run, &id).await), Reason::NotFound);
    }
}

#[tokio::test]
async fn a_damaged_request_is_erased_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("hitl");
    let world = World::at(Config::default(), Some(data.clone())).await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    let mut file = SqliteConnection::connect(&format!("sqlite:{}/hitl.db", data.display()))
        .await
        .unwrap();
    sqlx::query("UPDATE approvals SET document = x'00'")
        .execute(&mut file)
        .await
        .unwrap();
    file.close().await.unwrap();
    assert_eq!(reason(world.await_decision(&run, &id).await), Reason::Internal);
    assert_eq!(world.erase("ann").await.unwrap(), all(1));
    assert_eq!(reason(world.await_decision(&run, &id).await), Reason::NotFound);
    let recorded = world.sink.of_kind(Kind::ApprovalErased).remove(0);
    assert_eq!(details(&recorded)["approvals"], 1);
}

#[tokio::test]
async fn only_an_admin_erases_and_only_in_their_tenant_by_the_gateway() {
    let world = World::new().await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    for role in Role::ALL {
        let person = Person {
            roles: [role].into(),
            ..admin()
        };
        if role != Role::Admin {
            let refused = world.erase_as(ServiceName::Gateway, &person, "ann").await;
            assert_eq!(reason(refused), Reason::NotAllowed, "{role:?}");
        }
    }
    let refused = world.erase_as(ServiceName::Runtime, &admin(), "ann").await;
    assert_eq!(reason(refused), Reason::NotAllowed);
    let stranger = Person {
        tenant: harombe_testkit::tenant("elsewhere"),
        ..admin()
    };
    let elsewhere = world.erase_as(ServiceName::Gateway, &stranger, "ann").await;
    assert_eq!(elsewhere.unwrap(), all(0));
    for bad in ["", "ann smith", "-ann", &"a".repeat(129)] {
        assert_eq!(reason(world.erase(bad).await), Reason::InvalidArgument, "{bad}");
    }
    assert_eq!(world.list(&approver(), false).await[0].approval_id, id);
    assert!(world.sink.of_kind(Kind::ApprovalErased).is_empty());
}

#[tokio::test]
async fn whoever_waits_or_watches_at_another_process_learns_that_it_is_over() {
    let (_database, one, other) = two().await;
    let run = one.run("ann");
    let mut watch = other.watch(&approver()).await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let id = one.pending(&run, &one.python(&run)).await;
        assert_eq!(next_of(&mut watch, &id).await, Decision::Unspecified);
        let mut stream = other.await_decision(&run, &id).await.unwrap();
        stream.message().await.unwrap();
        waiting.push((id, stream));
    }
    assert_eq!(one.erase("ann").await.unwrap(), all(5));
    let mut unheard: BTreeSet<_> = waiting.iter().map(|(id, _)| id.clone()).collect();
    for (_, mut stream) in waiting {
        let told = until_decided(&mut stream).await;
        assert_eq!((told.decision(), told.grant.as_str()), (Decision::Denied, ""));
    }
    while !unheard.is_empty() {
        let shown = watch.message().await.unwrap().unwrap().approval.unwrap();
        if shown.decision() == Decision::Denied {
            unheard.remove(&shown.approval_id);
        }
    }
    assert_eq!(one.erase("ann").await.unwrap(), all(0));
    assert_eq!(other.erase("ann").await.unwrap(), all(0));
}

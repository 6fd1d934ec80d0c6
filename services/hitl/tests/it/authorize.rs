//! Asking for permission.

use harombe_error::Reason;
use harombe_hitl::Config;
use harombe_proto::hitl::v1::authorize_response::Outcome;
use harombe_proto::types::v1::{Decision, Risk};
use harombe_trail::Kind;
use harombe_types::{Clock as _, RunId};
use serde_json::{Value, json};

use crate::world::{BROKER, World, approver, call_with_id, details, reason};

#[tokio::test]
async fn what_is_harmless_is_granted_at_once_and_recorded_first() {
    let world = World::new().await;
    let run = world.run("ann");
    let call = world.file_list(&run);
    let answer = world.authorize(&run, &call).await.unwrap();
    assert_eq!(answer.risk(), Risk::Low);
    let Some(Outcome::Granted(granted)) = answer.outcome else {
        panic!("{answer:?}")
    };
    let grant = world.verified(&granted.grant, BROKER);
    assert!(harombe_grant::check_call(&grant, &call).is_ok());
    assert_eq!((grant.subject.as_str(), grant.session), ("ann", run.session));
    assert!(grant.approvers.is_empty());
    assert_eq!(world.clock.now().until(grant.expires).as_secs(), 60);
    let [event] = &world.sink.events()[..] else {
        panic!("one event")
    };
    assert_eq!(
        (event.kind.as_str(), event.outcome.as_str()),
        ("call.authorized", "ok")
    );
    assert_eq!(event.policy_version, world.service.policy_version());
    assert_eq!(
        (&event.run_id, &event.call_id),
        (&run.run.to_string(), &call.call().to_owned())
    );
    assert_eq!(details(event)["digest"], call.digest().to_string());
    assert!(world.list(&approver(), true).await.is_empty());
}

#[tokio::test]
async fn what_is_not_waits_for_a_person_who_sees_exactly_what_will_run() {
    let world = World::new().await;
    let run = world.run("ann");
    let args = json!({ "language": "shell", "code": "sudo rm -rf /" });
    let call = world.call(&run, "code_execute", &args);
    let answer = world.authorize(&run, &call).await.unwrap();
    assert_eq!(answer.risk(), Risk::Critical);
    let Some(Outcome::Pending(pending)) = &answer.outcome else {
        panic!("{answer:?}")
    };
    let seconds = pending.deadline.unwrap().seconds - world.clock.now().as_secs();
    assert_eq!(seconds, 15 * 60);

    let [shown] = &world.list(&approver(), false).await[..] else {
        panic!("one approval")
    };
    assert_eq!(serde_json::from_str::<Value>(&shown.arguments).unwrap(), args);
    assert_eq!(
        (shown.tool.as_str(), shown.requested_by.as_str()),
        ("code_execute", "ann")
    );
    assert_eq!(
        (shown.risk(), shown.decision()),
        (Risk::Critical, Decision::Unspecified)
    );
    assert_eq!(shown.reasons, answer.reasons);
    assert!(
        shown.reasons.iter().any(|reason| reason.contains("root")),
        "{:?}",
        shown.reasons
    );

    let again = world.authorize(&run, &call).await.unwrap();
    assert_eq!(again, answer);
    let [event] = &world.sink.events()[..] else {
        panic!("one event")
    };
    assert_eq!(
        (event.kind.as_str(), &event.approval_id),
        ("approval.requested", &pending.approval_id)
    );
}

#[tokio::test]
async fn a_call_that_is_not_the_runs_own_is_refused() {
    let world = World::new().await;
    let run = world.run("ann");
    let mut other_run = run.clone();
    other_run.run = RunId::generate(&*world.clock);
    let mut other_tenant = run.clone();
    other_tenant.tenant = "elsewhere".parse().unwrap();
    let mut other_agent = run.clone();
    other_agent.agent = "other".parse().unwrap();
    for other in [other_run, other_tenant, other_agent] {
        let call = world.file_list(&other);
        assert_eq!(reason(world.authorize(&run, &call).await), Reason::CallMismatch);
    }
    assert!(world.sink.events().is_empty());
}

#[tokio::test]
async fn what_is_no_proper_call_is_refused() {
    let world = World::new().await;
    let run = world.run("ann");
    let good = world.file_list(&run);
    let spaced = String::from_utf8(good.bytes().to_vec())
        .unwrap()
        .replace(":", ": ");
    for bytes in [Vec::new(), b"{}".to_vec(), b"\xff".to_vec(), spaced.into_bytes()] {
        let answer = world.authorize_bytes(&run, bytes, Risk::Unspecified).await;
        assert_eq!(reason(answer), Reason::CallInvalid);
    }
    let bad_id = call_with_id(&run, "7", "file_list", &json!({}));
    assert_eq!(
        reason(world.authorize(&run, &bad_id).await),
        Reason::InvalidArgument
    );
    let unknown = world.call(&run, "format_disk", &json!({}));
    assert_eq!(reason(world.authorize(&run, &unknown).await), Reason::ToolUnknown);
    let long = world.call(
        &run,
        "code_execute",
        &json!({ "language": "python", "code": "", "timeout_s": 301 }),
    );
    assert_eq!(reason(world.authorize(&run, &long).await), Reason::LimitExceeded);
    let answer = world
        .authorize_bytes(&run, good.bytes().to_vec(), Risk::Unspecified)
        .await;
    assert!(answer.is_ok());
}

#[tokio::test]
async fn one_call_id_is_one_call() {
    let world = World::new().await;
    let run = world.run("ann");
    let call = world.python(&run);
    world.pending(&run, &call).await;
    let other = call_with_id(
        &run,
        call.call(),
        "code_execute",
        &json!({ "language": "python", "code": "2" }),
    );
    assert_eq!(reason(world.authorize(&run, &other).await), Reason::CallMismatch);

    let spent = world.file_list(&run);
    let grant = world.granted(&run, &spent).await;
    world.redeem(BROKER, &grant, &spent).await.unwrap();
    let other = call_with_id(&run, spent.call(), "file_list", &json!({ "path": "x" }));
    assert_eq!(reason(world.authorize(&run, &other).await), Reason::CallMismatch);
}

#[tokio::test]
async fn the_models_opinion_raises_only() {
    let world = World::new().await;
    let run = world.run("ann");
    let call = world.file_list(&run);
    let raised = world
        .authorize_bytes(&run, call.bytes().to_vec(), Risk::High)
        .await
        .unwrap();
    assert_eq!(raised.risk(), Risk::High);
    assert!(matches!(raised.outcome, Some(Outcome::Pending(_))));
    let call = world.python(&run);
    let same = world
        .authorize_bytes(&run, call.bytes().to_vec(), Risk::Low)
        .await
        .unwrap();
    assert_eq!(same.risk(), Risk::High);
}

#[tokio::test]
async fn a_grant_carries_limits_and_destinations() {
    let world = World::new().await;
    let run = world.run("ann");
    let fetch = world.call(&run, "web_fetch", &json!({ "url": "https://docs.example/a?b" }));
    let grant = world.granted(&run, &fetch).await;
    let grant = world.verified(&grant, harombe_types::ServiceName::EgressProxy);
    assert_eq!(grant.destinations, ["docs.example:443"]);
    assert_eq!(grant.limits.connections, Some(4));
    let elsewhere = world.call(&run, "web_fetch", &json!({ "url": "https://example.com/" }));
    assert_eq!(
        world.authorize(&run, &elsewhere).await.unwrap().risk(),
        Risk::Medium
    );

    let args = json!({ "language": "python", "code": "1", "timeout_s": 7, "memory_mb": 64 });
    let call = world.call(&run, "code_execute", &args);
    let id = world.pending(&run, &call).await;
    world.decide(&approver(), &id, Decision::Approved).await.unwrap();
    let grant = world.verified(&world.decision(&run, &id).await.grant, BROKER);
    assert_eq!(
        (grant.limits.time_ms, grant.limits.memory_bytes),
        (Some(7000), Some(64 << 20))
    );
    assert_eq!(grant.approvers, ["bob".parse().unwrap()]);
    let authorized = world.sink.of_kind(Kind::CallAuthorized);
    assert_eq!(authorized.last().unwrap().approval_id, id);
}

#[tokio::test]
async fn an_operators_rules_are_added() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.toml");
    let rule = "[[rule]]\nname = \"own\"\ntool = \"file_list\"\nrisk = \"MEDIUM\"\nreason = \"We look.\"\n";
    std::fs::write(&path, rule).unwrap();
    let world = World::with(Config {
        rules: vec![path],
        ..Config::default()
    })
    .await;
    let run = world.run("ann");
    let answer = world.authorize(&run, &world.file_list(&run)).await.unwrap();
    assert_eq!(
        (answer.risk(), answer.reasons[0].as_str()),
        (Risk::Medium, "We look.")
    );
}

#[tokio::test]
async fn of_many_who_ask_for_one_call_all_get_one_request() {
    let world = World::new().await;
    let run = world.run("ann");
    let call = world.python(&run);
    let ids = futures_util::future::join_all((0..8).map(|_| world.pending(&run, &call))).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(world.sink.of_kind(Kind::ApprovalRequested).len(), 1);
}

#[tokio::test]
async fn what_does_not_fit_into_a_message_is_not_asked_and_a_list_always_fits() {
    let world = World::new().await;
    let run = world.run("ann");
    let long = |bytes: usize| json!({ "language": "python", "code": "x".repeat(bytes) });
    let too_long = world.call(&run, "code_execute", &long(3 << 20));
    assert_eq!(
        reason(world.authorize(&run, &too_long).await),
        Reason::LimitExceeded
    );
    for _ in 0..4 {
        world
            .pending(&run, &world.call(&run, "code_execute", &long(1 << 20)))
            .await;
    }
    world.clock.advance(std::time::Duration::from_millis(1));
    let newest = world.pending(&run, &world.python(&run)).await;
    let shown = world.list(&approver(), false).await;
    assert_eq!((shown.len(), &shown[0].approval_id), (4, &newest));
    let event = world.sink.of_kind(Kind::ApprovalRequested).remove(0);
    assert!(details(&event)["args"]["bytes"].as_u64() > Some(1 << 20));
}

//! Check, black box: what no approval could make possible is said, recorded, and touches nothing.

use harombe_egress_proxy::domain::policy::DEFAULT_POLICY;
use harombe_error::{Code, Reason};
use harombe_testkit::Fault;
use harombe_trail::Kind;
use harombe_types::RunId;
use serde_json::json;

use crate::world::{URL, World};

#[tokio::test]
async fn what_the_policy_could_allow_is_allowed_and_trust_is_for_reads() {
    let world = World::new("").await;
    for (args, trusted) in [
        (json!({ "url": URL }), true),
        (json!({ "url": URL, "method": "HEAD" }), false),
        (json!({ "url": "https://evil.allowed.test/" }), false),
    ] {
        let answer = world.check(&world.call(&args)).await.expect("an answer");
        assert!(
            answer.allowed && answer.stage.is_empty() && answer.reason.is_empty(),
            "{args}: {answer:?}"
        );
        assert_eq!(answer.trusted, trusted, "{args}");
        assert_eq!(answer.policy_version, world.service.policy_version());
    }
    assert!(world.resolver.asked().is_empty(), "nothing is resolved");
    assert_eq!(world.dialled(), 0);
    assert!(world.end().await.events().is_empty(), "only denials are recorded");
}

#[tokio::test]
async fn a_denial_names_its_stage_and_is_recorded_first() {
    let world = World::new("").await;
    for (url, stage) in [
        ("https://attacker.test/", "acl"),
        ("http://api.allowed.test/", "acl"),
        ("https://localhost/", "acl"),
        ("file:///etc/passwd", "parse"),
    ] {
        let answer = world
            .check(&world.call(&json!({ "url": url })))
            .await
            .expect("an answer");
        assert!(!answer.allowed && !answer.trusted, "{url}");
        assert_eq!(answer.stage, stage, "{url}: {}", answer.reason);
        let last = world
            .audit
            .of_kind(Kind::EgressDecided)
            .pop()
            .expect("recorded before the answer");
        assert_eq!(last.outcome, "denied");
        assert!(last.details.contains(url), "{}", last.details);
    }
    world.audit.fail(Fault::Rejects(Kind::EgressDecided));
    let failure = world
        .check(&world.call(&json!({ "url": "https://attacker.test/" })))
        .await
        .expect_err("no record");
    assert_eq!(failure.code, Code::Internal);
}

#[tokio::test]
async fn calls_that_are_not_the_runs_or_not_fetches_are_refused() {
    let mut world = World::new("").await;
    let failure = world
        .check(&world.call_of("code_execute", &json!({})))
        .await
        .expect_err("another tool");
    assert_eq!(
        (failure.code, failure.reason),
        (Code::InvalidArgument, Reason::CallInvalid)
    );
    let call = world.call(&json!({ "url": URL }));
    world.run.run = RunId::generate(&*world.clock);
    let failure = world.check(&call).await.expect_err("another run's");
    assert_eq!(
        (failure.code, failure.reason),
        (Code::InvalidArgument, Reason::CallMismatch)
    );
}

#[tokio::test]
async fn a_policy_that_is_absent_or_faulty_denies_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let (faulty, default) = (dir.path().join("faulty.toml"), dir.path().join("default.toml"));
    std::fs::write(&faulty, "allow_all = true").expect("written");
    std::fs::write(&default, DEFAULT_POLICY).expect("written");
    for (policy, stage) in [
        (Some(dir.path().join("missing.toml")), "fail-closed"),
        (Some(dir.path().to_owned()), "fail-closed"),
        (Some(faulty), "fail-closed"),
        (Some(default), "acl"),
        (None, "acl"),
    ] {
        let world = World::with("", |config| config.policy = policy.clone(), |_| ()).await;
        let answer = world
            .check(&world.call(&json!({ "url": URL })))
            .await
            .expect("an answer");
        assert!(!answer.allowed, "{policy:?}");
        assert_eq!(answer.stage, stage, "{policy:?}");
        assert_eq!(answer.policy_version == "none", stage == "fail-closed");
        assert_eq!(world.fetch().await.reason(), Reason::EgressDenied);
    }
}

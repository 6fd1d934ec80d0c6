//! What fails, fails closed: the table of ARCHITECTURE §4, each fault made to happen.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use harombe_e2e::{Answer, Cut, Stage, Stopped, Talk, World, reason_of};
use harombe_error::Reason;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{ApprovalRequired, Decision, ToolOutcome};
use harombe_types::ServiceName;

use crate::support::{ANSWER, call, ending, in_workspace, outcomes, shell, start, start_with, talk};

both!(
    without_the_log_nothing_is_begun,
    without_the_log_nothing_is_approved,
    when_the_log_comes_back_the_work_goes_on,
    without_the_log_the_broker_does_not_act,
    an_act_whose_end_cannot_be_recorded_is_not_called_refused,
    without_the_log_hitl_grants_nothing,
    without_hitl_nothing_is_authorized,
    without_hitl_no_grant_is_spent,
    without_a_broker_nothing_runs,
    a_pending_approval_keeps_its_deadline_while_hitl_is_away,
    without_the_way_out_nothing_leaves,
    without_memory_nothing_is_begun,
    a_run_goes_on_when_memory_comes_back,
    without_its_isolation_no_code_runs,
    without_a_usable_policy_nothing_leaves
);

const WRITE: &str = "tool = \"file_write\"\narguments = { path = \"written.txt\", content = \"x\" }";
const FETCH: &str = "tool = \"web_fetch\"\narguments = { url = \"https://elsewhere.example.com/\" }";

/// An execution and a write, each with an effect that would be seen.
fn acts() -> String {
    [shell("echo done > effect.txt"), call(WRITE), ANSWER.to_owned()].concat()
}

async fn start_cut(stage: &Stage, script: &str, cut: &Cut) -> World {
    start_with(stage, script, |setup| {
        setup.cut = Some(cut.clone());
    })
    .await
}

fn no_effect(stopped: &Stopped) {
    for name in ["effect.txt", "written.txt"] {
        assert_eq!(in_workspace(&stopped.data(), name), None);
    }
}

/// Both acts with the wire cut, then both again with the wire whole: refused for that reason, then done.
async fn refused_while_cut(stage: &Stage, cut: Cut, reason: Reason) {
    let world = start_cut(stage, &acts(), &cut).await;
    let mut talk = talk(&world).await;
    cut.cut();
    talk.say("Act.", Answer::Approve).await.unwrap();
    let denied = (ToolOutcome::Denied, reason.as_str());
    assert_eq!(outcomes(&talk), [denied, denied]);
    assert_eq!(ending(&talk.events), "finished:ANSWERED");
    for name in ["effect.txt", "written.txt"] {
        assert_eq!(in_workspace(&world.data(), name), None);
    }
    cut.mend();
    talk.say("Act again.", Answer::Approve).await.unwrap();
    assert_eq!(outcomes(&talk), [(ToolOutcome::Ok, ""); 2]);
    let log = world.stop().await.log_after_a_fault().await;
    log.assert_acts_in_order();
    let ended: Vec<_> = log
        .of("exec.finished")
        .map(|record| record.leaf.outcome.as_str())
        .collect();
    assert_eq!(ended.iter().filter(|outcome| **outcome == "ok").count(), 2);
    assert!(
        ended.iter().all(|outcome| ["ok", "denied"].contains(outcome)),
        "{ended:?}"
    );
}

async fn asked(
    talk: &mut Talk,
) -> (
    ApprovalRequired,
    tonic::Streaming<harombe_proto::agent::v1::SendMessageResponse>,
) {
    let mut stream = talk.send("m", "Act.").await.unwrap();
    let event = talk.until(&mut stream, "approval_required").await.unwrap();
    match event.event {
        Some(Event::ApprovalRequired(required)) => (required, stream),
        other => panic!("{other:?}"),
    }
}

async fn without_the_log_nothing_is_begun(stage: &Stage) {
    let mut world = start(&stage.with_audit_apart(), &acts()).await;
    let mut talk = talk(&world).await;
    talk.upload("before.txt", b"before").await.unwrap();
    world.kill_audit().await;
    talk.say("Act.", Answer::Approve).await.unwrap();
    assert_eq!(ending(&talk.events), "failed:AUDIT_UNAVAILABLE");
    assert_eq!(outcomes(&talk), []);
    let refused = talk.upload("written.txt", b"after").await.unwrap_err();
    assert_eq!(reason_of(&refused), Reason::AuditUnavailable);
    let refused = talk.download("before.txt").await.unwrap_err();
    assert_eq!(reason_of(&refused), Reason::AuditUnavailable);
    no_effect(&world.stop().await);
}

async fn without_the_log_nothing_is_approved(stage: &Stage) {
    let mut world = start(&stage.with_audit_apart(), &acts()).await;
    let mut talk = talk(&world).await;
    let (required, stream) = asked(&mut talk).await;
    world.kill_audit().await;
    let refused = talk
        .client
        .decide(&required.approval_id, Decision::Approved, false, "")
        .await
        .unwrap_err();
    assert_eq!(reason_of(&refused), Reason::AuditUnavailable);
    let approval = talk.client.approval(&required.approval_id).await.unwrap();
    assert_eq!(
        approval.decision(),
        Decision::Unspecified,
        "a decision that is not on record is not one"
    );
    drop(stream);
    no_effect(&world.stop().await);
}

async fn when_the_log_comes_back_the_work_goes_on(stage: &Stage) {
    let mut world = start(&stage.with_audit_apart(), &acts()).await;
    let mut talk = talk(&world).await;
    let (required, stream) = asked(&mut talk).await;
    world.kill_audit().await;
    world.revive_audit().await;
    talk.client
        .decide(&required.approval_id, Decision::Approved, false, "")
        .await
        .unwrap();
    talk.follow(stream, Answer::Approve).await.unwrap();
    assert_eq!(outcomes(&talk), [(ToolOutcome::Ok, ""); 2]);
    // Nothing that was acknowledged before its death is lost, and nothing is there twice.
    let log = world.stop().await.log().await;
    assert_eq!((log.count("run.started"), log.count("exec.started")), (1, 2));
    assert_eq!(log.count("approval.decided"), 1);
}

async fn without_the_log_the_broker_does_not_act(stage: &Stage) {
    let cut = Cut::between(ServiceName::SandboxBroker, ServiceName::Audit);
    refused_while_cut(stage, cut, Reason::AuditUnavailable).await;
}

async fn an_act_whose_end_cannot_be_recorded_is_not_called_refused(stage: &Stage) {
    let cut = Cut::between(ServiceName::SandboxBroker, ServiceName::Audit);
    let world = start_cut(stage, &[call(WRITE), ANSWER.to_owned()].concat(), &cut).await;
    let mut talk = talk(&world).await;
    // Its start passes.
    cut.cut_after(1);
    talk.say("Act.", Answer::Approve).await.unwrap();
    assert_eq!(outcomes(&talk), [(ToolOutcome::Unknown, "SANDBOX_UNAVAILABLE")]);
    assert_eq!(in_workspace(&world.data(), "written.txt").as_deref(), Some("x"));
    cut.mend();
    // What was waiting for the log is in it after all.
    let log = world.stop().await.log().await;
    assert_eq!(log.count("exec.finished"), 1);
}

async fn without_the_log_hitl_grants_nothing(stage: &Stage) {
    let cut = Cut::between(ServiceName::Hitl, ServiceName::Audit);
    refused_while_cut(stage, cut, Reason::AuditUnavailable).await;
}

async fn without_hitl_nothing_is_authorized(stage: &Stage) {
    refused_while_cut(stage, Cut::to(ServiceName::Hitl), Reason::HitlUnavailable).await;
}

async fn without_hitl_no_grant_is_spent(stage: &Stage) {
    let cut = Cut::between(ServiceName::SandboxBroker, ServiceName::Hitl);
    refused_while_cut(stage, cut, Reason::HitlUnavailable).await;
}

async fn without_a_broker_nothing_runs(stage: &Stage) {
    refused_while_cut(
        stage,
        Cut::to(ServiceName::SandboxBroker),
        Reason::SandboxUnavailable,
    )
    .await;
}

async fn a_pending_approval_keeps_its_deadline_while_hitl_is_away(stage: &Stage) {
    let cut = Cut::to(ServiceName::Hitl);
    let world = start_cut(stage, &acts(), &cut).await;
    let mut talk = talk(&world).await;
    let (required, stream) = asked(&mut talk).await;
    cut.cut();
    let mut client = talk.client.clone();
    let refused = client
        .decide(&required.approval_id, Decision::Approved, false, "")
        .await
        .unwrap_err();
    assert_eq!(reason_of(&refused), Reason::HitlUnavailable);
    cut.mend();
    let approval = client.approval(&required.approval_id).await.unwrap();
    assert_eq!(approval.decision(), Decision::Unspecified);
    assert_eq!(approval.deadline, required.deadline);
    client
        .decide(&required.approval_id, Decision::Approved, false, "")
        .await
        .unwrap();
    talk.follow(stream, Answer::Approve).await.unwrap();
    assert_eq!(outcomes(&talk), [(ToolOutcome::Ok, ""); 2]);
    world.stop().await.log().await;
}

async fn without_the_way_out_nothing_leaves(stage: &Stage) {
    let cut = Cut::to(ServiceName::EgressProxy);
    let world = start_cut(stage, &[call(FETCH), ANSWER.to_owned()].concat(), &cut).await;
    let mut talk = talk(&world).await;
    cut.cut();
    talk.say("Fetch.", Answer::Approve).await.unwrap();
    assert_eq!(outcomes(&talk), [(ToolOutcome::Denied, "EGRESS_UNAVAILABLE")]);
    let log = world.stop().await.log().await;
    assert_eq!(log.count("approval.requested"), 0);
}

async fn without_memory_nothing_is_begun(stage: &Stage) {
    let cut = Cut::to(ServiceName::Memory);
    let world = start_cut(stage, &acts(), &cut).await;
    let mut talk = talk(&world).await;
    cut.cut();
    let refused = talk.say("Act.", Answer::Approve).await.unwrap_err();
    assert_eq!(reason_of(&refused), Reason::MemoryUnavailable);
    let refused = talk.upload("written.txt", b"x").await.unwrap_err();
    assert_eq!(reason_of(&refused), Reason::MemoryUnavailable);
    let stopped = world.stop().await;
    no_effect(&stopped);
    assert_eq!(stopped.log().await.count("run.started"), 0);
}

async fn a_run_goes_on_when_memory_comes_back(stage: &Stage) {
    // Whether the run goes on or is taken up again is a matter of time, and what is taken up again asks again.
    for kind in ["run.started", "call.authorized"] {
        stage.leave_out(kind);
    }
    let cut = Cut::between(ServiceName::Runtime, ServiceName::Memory);
    let world = start_cut(stage, &acts(), &cut).await;
    let mut talk = talk(&world).await;
    let (required, mut stream) = asked(&mut talk).await;
    let run_id = talk.run_id().to_owned();
    cut.cut();
    talk.client
        .decide(&required.approval_id, Decision::Approved, false, "")
        .await
        .unwrap();
    // Whether the node has given the run up by then or not, it goes on.
    let lapse = Duration::from_secs(3);
    let begun = tokio::time::timeout(lapse, talk.until(&mut stream, "tool_started")).await;
    assert!(
        !matches!(begun, Ok(Ok(_))),
        "nothing is begun that cannot be journalled"
    );
    assert_eq!(in_workspace(&world.data(), "effect.txt"), None);
    cut.mend();
    talk.say_as("m", "Act.", Answer::Approve).await.unwrap();
    assert_eq!(talk.run_id(), run_id);
    assert_eq!(outcomes(&talk), [(ToolOutcome::Ok, ""); 2]);
    assert_eq!(ending(&talk.events), "finished:ANSWERED");
    let log = world.stop().await.log().await;
    assert_eq!(log.count("exec.started"), 2);
}

/// A program that answers as a runsc of 2022 does.
fn old_runsc(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("runsc");
    std::fs::write(&path, "#!/bin/sh\necho 'platform: ptrace (default), kvm'\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn without_its_isolation_no_code_runs(stage: &Stage) {
    let dir = tempfile::tempdir().unwrap();
    for runsc in [dir.path().join("nothing"), old_runsc(&dir)] {
        let script = [shell("echo done > effect.txt"), ANSWER.to_owned()].concat();
        let world = start_with(stage, &script, |setup| {
            setup.config.sandbox_broker.runsc = Some(runsc.clone());
        })
        .await;
        let mut talk = talk(&world).await;
        talk.say("Run it.", Answer::Approve).await.unwrap();
        assert_eq!(outcomes(&talk), [(ToolOutcome::Denied, "ISOLATION_UNAVAILABLE")]);
        // Files need no sandbox.
        talk.upload("before.txt", b"x").await.unwrap();
        let stopped = world.stop().await;
        assert_eq!(in_workspace(&stopped.data(), "effect.txt"), None);
        let log = stopped.log().await;
        assert_eq!(log.count("exec.started"), 1);
        assert_eq!(log.count("grant.redeemed"), 1, "and the grant is not wasted");
    }
}

async fn without_a_usable_policy_nothing_leaves(stage: &Stage) {
    let dir = tempfile::tempdir().unwrap();
    let garbage = dir.path().join("policy.toml");
    std::fs::write(
        &garbage,
        "[[allow]]\nhost = \"elsewhere.example.com\"\nprots = [443]\n",
    )
    .unwrap();
    for policy in [dir.path().join("missing.toml"), garbage] {
        let world = start_with(stage, &[call(FETCH), ANSWER.to_owned()].concat(), |setup| {
            setup.config.egress_proxy.policy = Some(policy.clone());
        })
        .await;
        let mut talk = talk(&world).await;
        talk.say("Fetch.", Answer::Approve).await.unwrap();
        assert_eq!(outcomes(&talk), [(ToolOutcome::Denied, "EGRESS_DENIED")]);
        let log = world.stop().await.log().await;
        assert_eq!(log.count("approval.requested"), 0);
        assert_eq!(log.count("egress.decided"), 1);
    }
}

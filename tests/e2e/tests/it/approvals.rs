//! Approvals: yes, no, too late, twice.

use harombe_e2e::{Answer, Stage, Talk, World, reason_of};
use harombe_error::Reason;
use harombe_proto::hitl::v1::ListRequest;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Decision, ToolOutcome};

use crate::support::{ANSWER, ending, in_workspace, outcomes, shell, start, start_with, talk};

both!(
    a_denied_call_is_not_performed,
    a_decision_stands,
    nobody_answers_in_time
);

fn script() -> String {
    [shell("echo done > effect.txt"), ANSWER.to_owned()].concat()
}

fn approvals(talk: &Talk) -> Vec<String> {
    let events = talk.events.iter().filter_map(|event| event.event.as_ref());
    let asked = events.filter_map(|event| match event {
        Event::ApprovalRequired(event) => Some(event.approval_id.clone()),
        _ => None,
    });
    asked.collect()
}

async fn check_not_performed(world: World, talk: &Talk, reason: &str) {
    assert_eq!(outcomes(talk), [(ToolOutcome::Denied, reason)]);
    assert_eq!(ending(&talk.events), "finished:ANSWERED");
    assert!(!talk.names().contains(&"tool_started"));
    let stopped = world.stop().await;
    assert_eq!(in_workspace(&stopped.data(), "effect.txt"), None);
    let log = stopped.log().await;
    assert_eq!(log.count("exec.started"), 0);
    assert_eq!(log.count("grant.redeemed"), 0);
    assert_eq!(log.count("approval.decided"), 1);
}

async fn a_denied_call_is_not_performed(stage: &Stage) {
    let world = start(stage, &script()).await;
    let mut talk = talk(&world).await;
    talk.say("Do it.", Answer::Deny).await.unwrap();
    check_not_performed(world, &talk, "APPROVAL_DENIED").await;
}

async fn a_decision_stands(stage: &Stage) {
    let world = start(stage, &script()).await;
    let mut talk = talk(&world).await;
    let mut stream = talk.send("m", "Do it.").await.unwrap();
    talk.until(&mut stream, "approval_required").await.unwrap();
    let id = approvals(&talk).remove(0);
    let mut client = talk.client.clone();
    let asked = client.approval(&id).await.unwrap();
    assert_eq!(asked.decision(), Decision::Unspecified);
    assert!(asked.arguments.contains("echo done > effect.txt"));

    client
        .decide(&id, Decision::Approved, false, "go on")
        .await
        .unwrap();
    let other = client.decide(&id, Decision::Denied, false, "").await.unwrap_err();
    assert_eq!(reason_of(&other), Reason::AlreadyDecided);
    client.decide(&id, Decision::Approved, true, "").await.unwrap();

    talk.follow(stream, Answer::Leave).await.unwrap();
    assert_eq!(outcomes(&talk), [(ToolOutcome::Ok, "")]);
    let listed = client
        .approvals
        .list(ListRequest {
            include_decided: true,
            ..ListRequest::default()
        })
        .await;
    let listed = listed.unwrap().into_inner().approvals;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].decision(), Decision::Approved);
    assert_eq!(
        (listed[0].comment.as_str(), listed[0].unattended),
        ("go on", false),
        "as the first answer was"
    );
    let stopped = world.stop().await;
    assert_eq!(
        in_workspace(&stopped.data(), "effect.txt").as_deref(),
        Some("done\n")
    );
    assert_eq!(stopped.log().await.count("approval.decided"), 1);
}

async fn nobody_answers_in_time(stage: &Stage) {
    let rules = tempfile::NamedTempFile::new().unwrap();
    let rule = r#"
[[rule]]
name = "hurry"
tool = "code_execute"
risk = "HIGH"
reason = "Is not waited for."
deadline = "1s"
"#;
    std::fs::write(rules.path(), rule).unwrap();
    let world = start_with(stage, &script(), |setup| {
        setup.config.hitl.rules = vec![rules.path().to_owned()];
    })
    .await;
    let mut talk = talk(&world).await;
    talk.say("Do it.", Answer::Leave).await.unwrap();
    let id = approvals(&talk).remove(0);
    let late = talk
        .client
        .decide(&id, Decision::Approved, false, "")
        .await
        .unwrap_err();
    assert_eq!(reason_of(&late), Reason::ApprovalExpired);
    let approval = talk.client.approval(&id).await.unwrap();
    assert_eq!(approval.decision(), Decision::Expired);
    check_not_performed(world, &talk, "APPROVAL_EXPIRED").await;
}

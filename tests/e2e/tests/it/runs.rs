//! Runs: they outlive their client, can be watched from anywhere in them, and end when told to.

use harombe_e2e::{Answer, Stage, name_of, reason_of};
use harombe_error::Reason;
use harombe_proto::agent::v1::{
    CancelRunRequest, DeleteSessionRequest, GetRunRequest, GetSessionRequest, RunState,
};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Decision, RunEvent};

use crate::support::{ANSWER, ending, in_workspace, shell, start, start_with, talk, until};

both!(
    a_second_turn_knows_the_first,
    a_run_outlives_its_client,
    a_run_can_be_watched_from_any_event,
    one_run_more_than_may_be_is_refused_with_what_to_do,
    a_cancelled_run_ends
);

fn script() -> String {
    [shell("echo done > effect.txt"), ANSWER.to_owned()].concat()
}

fn context(events: &[RunEvent]) -> (u32, u32) {
    let mut events = events.iter().filter_map(|event| event.event.as_ref());
    let found = events.find_map(|event| match event {
        Event::ContextBuilt(context) => Some((context.turns, context.tokens)),
        _ => None,
    });
    found.unwrap()
}

/// Tokens that the model itself counted in what it was given.
fn read_by_model(events: &[RunEvent]) -> u64 {
    match events.last().and_then(|event| event.event.as_ref()) {
        Some(Event::RunFinished(finished)) => finished.usage.unwrap().input_tokens,
        other => panic!("not finished: {other:?}"),
    }
}

async fn a_second_turn_knows_the_first(stage: &Stage) {
    let world = start(stage, "[[turn]]\ntext = \"I have heard you.\"\n").await;
    let mut talk = talk(&world).await;
    let long = "Remember this. ".repeat(200);
    talk.say(&long, Answer::Approve).await.unwrap();
    let first = (context(&talk.events), read_by_model(&talk.events));
    assert_eq!(first.0.0, 1);
    talk.say("What did I say?", Answer::Approve).await.unwrap();
    let second = (context(&talk.events), read_by_model(&talk.events));
    assert_eq!(second.0.0, 2);
    assert!(second.0.1 > first.0.1, "{first:?} {second:?}");
    assert!(
        second.1 > first.1,
        "the model was given the first turn: {first:?} {second:?}"
    );
    let request = GetSessionRequest {
        session_id: talk.session.clone(),
    };
    let session = talk.client.agent.get_session(request).await.unwrap().into_inner();
    let session = session.session.unwrap();
    assert_eq!((session.turns, session.active_run_id.as_str()), (2, ""));
    world.stop().await.log().await;
}

async fn a_run_outlives_its_client(stage: &Stage) {
    let world = start(stage, &script()).await;
    let mut talk = talk(&world).await;
    let mut stream = talk.send("m", "Do it.").await.unwrap();
    let asked = talk.until(&mut stream, "approval_required").await.unwrap();
    let Some(Event::ApprovalRequired(required)) = asked.event else {
        panic!("{asked:?}")
    };
    drop(stream);
    let run_id = asked.run_id;

    let busy = talk
        .say_as("other", "And this?", Answer::Leave)
        .await
        .unwrap_err();
    assert_eq!(reason_of(&busy), Reason::SessionBusy);
    let delete = DeleteSessionRequest {
        session_id: talk.session.clone(),
    };
    let refused = talk.client.agent.delete_session(delete).await.unwrap_err();
    assert_eq!(reason_of(&refused), Reason::SessionBusy);

    talk.client
        .decide(&required.approval_id, Decision::Approved, false, "")
        .await
        .unwrap();
    // The same message again joins the run that it began.
    talk.say_as("m", "Do it.", Answer::Leave).await.unwrap();
    assert_eq!(talk.run_id(), run_id);
    assert_eq!(ending(&talk.events), "finished:ANSWERED");
    // … and again when it has long ended.
    talk.say_as("m", "Do it.", Answer::Leave).await.unwrap();
    assert_eq!(talk.run_id(), run_id);
    assert_eq!(ending(&talk.events), "finished:ANSWERED");
    let stopped = world.stop().await;
    assert_eq!(
        in_workspace(&stopped.data(), "effect.txt").as_deref(),
        Some("done\n")
    );
    assert_eq!(stopped.log().await.count("exec.started"), 1);
}

async fn a_run_can_be_watched_from_any_event(stage: &Stage) {
    let world = start(stage, &script()).await;
    let mut talk = talk(&world).await;
    talk.say("Do it.", Answer::Approve).await.unwrap();
    let run_id = talk.run_id().to_owned();
    let all = talk.watched(&run_id).await.unwrap();
    let cursors: Vec<_> = all.iter().map(|event| event.cursor).collect();
    assert!(cursors.is_sorted_by(|one, next| one < next), "{cursors:?}");
    let live: Vec<_> = talk
        .events
        .iter()
        .filter(|event| !["text_delta", "tool_output"].contains(&name_of(event)))
        .cloned()
        .collect();
    assert_eq!(live, all, "what was streamed is what is in the journal");
    for (seen, event) in all.iter().enumerate() {
        let rest = talk.watched_after(&run_id, event.cursor).await.unwrap();
        assert_eq!(rest, all[seen + 1..], "after {}", event.cursor);
    }
    world.stop().await.log().await;
}

async fn one_run_more_than_may_be_is_refused_with_what_to_do(stage: &Stage) {
    let world = start_with(stage, &script(), |setup| {
        setup.config.memory.limits.runs_per_subject = 1;
    })
    .await;
    let mut waiting = talk(&world).await;
    let mut stream = waiting.send("m", "Do it.").await.unwrap();
    let asked = waiting.until(&mut stream, "approval_required").await.unwrap();
    let Some(Event::ApprovalRequired(required)) = asked.event else {
        panic!("{asked:?}")
    };
    let mut other = talk(&world).await;
    let refused = other.say("And this?", Answer::Leave).await.unwrap_err();
    assert_eq!(reason_of(&refused), Reason::LimitExceeded);
    assert!(
        refused.message().contains("memory.limits.runs_per_subject"),
        "{refused:?}"
    );
    waiting
        .client
        .decide(&required.approval_id, Decision::Denied, false, "")
        .await
        .unwrap();
    waiting.follow(stream, Answer::Leave).await.unwrap();
    assert_eq!(ending(&waiting.events), "finished:ANSWERED");
    other.say("And this?", Answer::Deny).await.unwrap();
    world.stop().await.log().await;
}

async fn a_cancelled_run_ends(stage: &Stage) {
    let script = [shell("echo begun > begun.txt; sleep 60"), ANSWER.to_owned()].concat();
    let world = start(stage, &script).await;
    let mut talk = talk(&world).await;
    let mut stream = talk.send("m", "Take your time.").await.unwrap();
    let asked = talk.until(&mut stream, "approval_required").await.unwrap();
    let Some(Event::ApprovalRequired(required)) = asked.event else {
        panic!("{asked:?}")
    };
    talk.client
        .decide(&required.approval_id, Decision::Approved, false, "")
        .await
        .unwrap();
    talk.until(&mut stream, "tool_started").await.unwrap();
    let data = world.data();
    until("the program's first act", async || {
        in_workspace(&data, "begun.txt")
    })
    .await;

    let run_id = asked.run_id;
    let cancel = CancelRunRequest {
        run_id: run_id.clone(),
    };
    talk.client.agent.cancel_run(cancel.clone()).await.unwrap();
    talk.follow(stream, Answer::Leave).await.unwrap();
    assert_eq!(ending(&talk.events), "finished:CANCELLED");
    talk.client.agent.cancel_run(cancel).await.unwrap();
    let run = talk
        .client
        .agent
        .get_run(GetRunRequest { run_id })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(run.run.unwrap().state(), RunState::Cancelled);
    // The session is free again, and what was running has been ended.
    let stopped = world.stop().await;
    let log = stopped.log().await;
    let finished = log.of("exec.finished").next().unwrap();
    assert_ne!(finished.leaf.outcome, "ok");
}

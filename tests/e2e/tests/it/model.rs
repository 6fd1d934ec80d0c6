//! Models that misbehave: what they get is an answer they can use, and a run that ends.

use harombe_e2e::{Answer, Log, Stage, Talk};
use harombe_proto::types::v1::ToolOutcome;

use crate::support::{ANSWER, call, ending, outcomes, shell, start, start_with, talk};

both!(
    calls_that_make_no_sense_are_told_so_and_dispatched_to_nobody,
    the_same_call_over_and_over_ends_the_run,
    a_model_without_end_stops_at_its_limit,
    a_model_that_says_nothing_fails_the_run
);

async fn play(stage: &Stage, script: &str) -> (Talk, Log) {
    let world = start(stage, script).await;
    let mut talk = talk(&world).await;
    talk.say("Go on.", Answer::Approve).await.unwrap();
    let run_id = talk.run_id().to_owned();
    let watched = talk.watched(&run_id).await.unwrap();
    assert_eq!(
        ending(&watched),
        ending(&talk.events),
        "the journal tells the same end"
    );
    let log = world.stop().await.log().await;
    assert_eq!(log.count("run.started"), log.count("run.finished"));
    (talk, log)
}

async fn calls_that_make_no_sense_are_told_so_and_dispatched_to_nobody(stage: &Stage) {
    let bad = [
        ("tool = \"rm_rf\"\narguments = { path = \"/\" }", "TOOL_UNKNOWN"),
        ("tool = \"\"\narguments = \"\"", "TOOL_UNKNOWN"),
        ("tool = \"code_execute\"\narguments = \"{{{\"", "CALL_INVALID"),
        ("tool = \"code_execute\"\narguments = \"[1, 2]\"", "CALL_INVALID"),
        (
            "tool = \"code_execute\"\narguments = '{\"language\":\"python\",\"code\":\"1\",\"code\":\"2\"}'",
            "CALL_INVALID",
        ),
        (
            "tool = \"code_execute\"\narguments = '{\"language\":\"python\",\"code\":\"\\ud800\"}'",
            "CALL_INVALID",
        ),
        (
            "tool = \"code_execute\"\narguments = '{\"language\":\"python\",\"code\":\"1\",\"timeout_s\":1e400}'",
            "CALL_INVALID",
        ),
        (
            "tool = \"code_execute\"\narguments = { language = \"cobol\", code = \"1\" }",
            "CALL_INVALID",
        ),
        (
            "tool = \"code_execute\"\narguments = { language = \"python\", code = \"1\", user = \"root\" }",
            "CALL_INVALID",
        ),
        ("tool = \"file_read\"\narguments = { path = 7 }", "CALL_INVALID"),
        ("tool = \"web_fetch\"\narguments = {}", "CALL_INVALID"),
    ];
    // More turns than a run may have steps: several calls a turn.
    let calls = |calls: &[(&str, &str)]| -> String {
        let calls: String = calls
            .iter()
            .map(|(body, _)| format!("[[turn.calls]]\n{body}\n"))
            .collect();
        format!("[[turn]]\ntext = \"Now.\"\n{calls}")
    };
    let script = [calls(&bad[..5]), calls(&bad[5..]), ANSWER.to_owned()].concat();
    let (talk, log) = play(stage, &script).await;
    let mut expected: Vec<_> = bad
        .iter()
        .map(|(_, reason)| (ToolOutcome::Invalid, *reason))
        .collect();
    let mut seen = outcomes(&talk);
    expected.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, expected);
    assert_eq!(ending(&talk.events), "finished:ANSWERED");
    assert_eq!(log.count("call.authorized") + log.count("approval.requested"), 0);
}

async fn the_same_call_over_and_over_ends_the_run(stage: &Stage) {
    let script = format!(
        "repeat = true\n{}",
        shell("echo again >> count.txt; cat count.txt")
    );
    let (talk, log) = play(stage, &script).await;
    let (ok, invalid) = ((ToolOutcome::Ok, ""), (ToolOutcome::Invalid, "MODEL_INVALID"));
    assert_eq!(outcomes(&talk), [ok, ok, invalid]);
    assert_eq!(ending(&talk.events), "failed:MODEL_INVALID");
    assert_eq!(log.count("exec.started"), 2);
}

async fn a_model_without_end_stops_at_its_limit(stage: &Stage) {
    let list = |path: &str| {
        call(&format!(
            "tool = \"file_list\"\narguments = {{ path = \"{path}\" }}"
        ))
    };
    let script = format!("repeat = true\n{}{}", list("."), call("tool = \"file_list\""));
    let world = start_with(stage, &script, |setup| {
        let agent = setup.config.runtime.agents.get_mut("default").unwrap();
        agent.max_steps = 5;
    })
    .await;
    let mut talk = talk(&world).await;
    talk.say("Go on.", Answer::Approve).await.unwrap();
    assert_eq!(ending(&talk.events), "finished:STEP_LIMIT");
    assert_eq!(outcomes(&talk).len(), 5);
    // The session goes on after it.
    talk.say("And now?", Answer::Approve).await.unwrap();
    assert_eq!(ending(&talk.events), "finished:STEP_LIMIT");
    world.stop().await.log().await;
}

async fn a_model_that_says_nothing_fails_the_run(stage: &Stage) {
    let (talk, _) = play(stage, "[[turn]]\ntext = \"\"\n").await;
    assert_eq!(ending(&talk.events), "failed:MODEL_INVALID");
}

//! Scripts that are none, and models that do what they should not.

use crate::harness::{Home, Ran};

fn run(home: &Home, script: &str) -> Ran {
    let script = home.file("model.toml", script);
    home.run(["run", "go", "--yes", "--model", &format!("scripted:{script}")])
}

#[test]
fn a_script_that_cannot_be_played_keeps_the_program_from_starting() {
    let home = Home::new();
    home.run(["run", "go", "--model", "scripted:/nonexistent/model.toml"])
        .refused(&["/nonexistent/model.toml", "check the path"]);
    run(&home, "turn = [").refused(&["model.toml is not valid", "line 1"]);
    run(&home, "[[turn]]\nsay = \"hi\"\n").refused(&["model.toml is not valid", "`say`", "`text`"]);
    let unknown = home.run(["up", "--model", "oracle"]);
    assert_eq!(unknown.code, Some(2), "{unknown:#?}");
    assert!(unknown.err.contains("scripted:FILE"), "{unknown:#?}");
}

#[test]
fn arguments_that_are_garbage_are_not_dispatched() {
    let home = Home::new();
    let ran = run(
        &home,
        r#"
        [[turn]]
        [[turn.calls]]
        tool = "code_execute"
        arguments = "{not json"
        [[turn]]
        [[turn.calls]]
        tool = "code_execute"
        arguments = { language = "python", cod = "print(1)" }
        [[turn]]
        text = "I give up."
        "#,
    )
    .good();
    assert_eq!(ran.out.matches("not run · CALL_INVALID").count(), 2, "{ran:#?}");
    assert!(ran.out.contains("I give up."), "{ran:#?}");
    assert!(
        !ran.out.contains("waits for approval"),
        "nobody was asked: {ran:#?}"
    );
    let log = home.run(["audit", "query", "--service", "hitl"]).good();
    assert_eq!(log.out, "", "nothing was authorized");
}

#[test]
fn a_tool_that_does_not_exist_is_told_to_the_model() {
    let home = Home::new();
    let ran = run(
        &home,
        "[[turn]]\n[[turn.calls]]\ntool = \"rm_rf\"\narguments = { path = \"/\" }\n[[turn]]\ntext = \"Sorry.\"\n",
    )
    .good();
    assert!(ran.out.contains("not run · TOOL_UNKNOWN"), "{ran:#?}");
    assert!(
        ran.out.contains("code_execute, file_read"),
        "the tools are named: {ran:#?}"
    );
}

#[test]
fn a_model_that_loops_is_stopped() {
    let home = Home::new();
    let ran = run(
        &home,
        "repeat = true\n[[turn]]\n[[turn.calls]]\ntool = \"file_list\"\narguments = {}\n",
    );
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert_eq!(ran.out.matches("finished").count(), 2, "{ran:#?}");
    assert!(ran.out.contains("not run · MODEL_INVALID"), "told once: {ran:#?}");
    assert!(ran.out.contains("failed     MODEL_INVALID"), "{ran:#?}");
}

#[test]
fn a_model_that_goes_on_for_ever_meets_its_step_limit() {
    let home = Home::new();
    let turns: String = (0..20)
        .map(|at| {
            format!("[[turn]]\n[[turn.calls]]\ntool = \"file_list\"\narguments = {{ path = \"d{at}\" }}\n")
        })
        .collect();
    let ran = run(&home, &turns);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.out.contains("stopped at the step limit"), "{ran:#?}");
}

#[test]
fn a_model_that_says_nothing_fails_the_run_and_the_session_goes_on() {
    let home = Home::new();
    let ran = run(&home, "[[turn]]\ntext = \"\"\n");
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(
        ran.out.contains("MODEL_INVALID") && ran.out.contains("empty"),
        "{ran:#?}"
    );
    let session = crate::harness::word_after(&ran.out, "▸ session");
    home.run(["run", "hello again", "--session", &session]).good();
}

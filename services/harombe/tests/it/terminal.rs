//! A person at a terminal: `script` (util-linux) gives the program one.

use std::process::Command;

use crate::harness::{Home, Live};

const ASKS_TWICE: &str = r#"
[[turn]]
[[turn.calls]]
tool = "code_execute"
arguments = { language = "shell", code = "echo first-$((1 + 1))" }
[[turn]]
[[turn.calls]]
tool = "code_execute"
arguments = { language = "shell", code = "echo second-$((1 + 1))" }
[[turn]]
text = "Done."
"#;

const QUESTION: &str = "run exactly this? [y/N]";

fn at_terminal(home: &Home, prepare: impl FnOnce(&mut Command)) -> Live {
    let model = home.file("model.toml", ASKS_TWICE);
    let program = env!("CARGO_BIN_EXE_harombe");
    let line = format!("stty cols 100; exec {program} --data data run go --model scripted:{model}");
    let mut command = home.tool("script");
    command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    command.env("SHELL", "/bin/sh").env("TERM", "xterm");
    prepare(&mut command);
    Live::start(command)
}

#[test]
fn only_yes_is_a_yes() {
    let home = Home::new();
    let mut terminal = at_terminal(&home, |_| ());
    terminal.wait_for(QUESTION);
    terminal.type_in("y\n");
    terminal.wait_for("first-2");
    terminal.wait_for(QUESTION);
    terminal.type_in("\n");
    terminal.wait_for("denied");
    assert!(terminal.end().success(), "{}", terminal.seen);
    assert!(!terminal.seen.contains("second-2"), "{}", terminal.seen);
    assert!(
        terminal.seen.contains("\u{1b}[32mapproved"),
        "in colour: {:?}",
        terminal.seen
    );
}

#[test]
fn the_end_of_input_is_a_no_and_each_question_is_asked_anew() {
    let home = Home::new();
    let mut terminal = at_terminal(&home, |_| ());
    terminal.wait_for(QUESTION);
    // Ctrl-D, as the terminal's line discipline knows it.
    terminal.type_in("\u{4}");
    terminal.wait_for("denied");
    terminal.wait_for(QUESTION);
    terminal.type_in("yes\n");
    terminal.wait_for("second-2");
    assert!(terminal.end().success(), "{}", terminal.seen);
    assert!(!terminal.seen.contains("first-2"), "{}", terminal.seen);
}

#[test]
fn ctrl_c_at_the_question_cancels_the_run() {
    let home = Home::new();
    let mut terminal = at_terminal(&home, |_| ());
    terminal.wait_for(QUESTION);
    terminal.type_in("\u{3}");
    terminal.wait_for("cancelled");
    assert_eq!(terminal.end().code(), Some(130), "{}", terminal.seen);
    assert!(!terminal.seen.contains("first-2"), "{}", terminal.seen);
}

#[test]
fn an_answer_from_elsewhere_ends_the_question() {
    let home = Home::new();
    let mut terminal = at_terminal(&home, |_| ());
    terminal.wait_for(QUESTION);
    for (marker, next) in [("first-2", Some(QUESTION)), ("second-2", None)] {
        let list = home.run(["approvals", "list"]).good();
        let id = crate::harness::word_after(&list.out, "▸ approval");
        home.run(["approvals", "approve", &id]).good();
        terminal.wait_for(marker);
        if let Some(next) = next {
            terminal.wait_for(next);
        }
    }
    assert!(terminal.end().success(), "{}", terminal.seen);
}

#[test]
fn no_color_means_none() {
    let home = Home::new();
    let mut terminal = at_terminal(&home, |command| {
        command.env("NO_COLOR", "1");
    });
    terminal.wait_for(QUESTION);
    terminal.type_in("n\n");
    terminal.wait_for(QUESTION);
    terminal.type_in("n\n");
    assert!(terminal.end().success(), "{}", terminal.seen);
    assert!(!terminal.seen.contains('\u{1b}'), "{:?}", terminal.seen);
}

#[test]
fn ctrl_c_at_a_hidden_question_lets_the_terminal_show_again_what_is_typed() {
    let home = Home::new();
    let program = env!("CARGO_BIN_EXE_harombe");
    let line = format!(
        "trap : INT; {program} --data data secrets set anthropic; echo code=$?; stty -a; echo the end"
    );
    let mut command = home.tool("script");
    command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    command.env("SHELL", "/bin/sh").env("TERM", "xterm");
    let mut terminal = Live::start(command);
    terminal.wait_for("anthropic: ");
    terminal.type_in("\u{3}");
    terminal.wait_for("code=130");
    terminal.wait_for("the end");
    assert!(terminal.seen.contains("iexten echo echoe"), "{}", terminal.seen);
}

//! A conversation: over a pipe, at a terminal, and over a connection that breaks off.

mod connection;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Home, Live, Ran, word_after};

const MODEL: &str = r#"
repeat = true

[[turn]]
when_user_contains = "count"
text = "I will **count** them."
[[turn.calls]]
tool = "code_execute"
arguments = { language = "shell", code = "echo counted-$((20 + 3))" }
[[turn]]
when_user_contains = "count"
text = "It is {{result}}"

[[turn]]
when_user_contains = "note"
[[turn.calls]]
tool = "file_write"
arguments = { path = "notes.sh", content = "one\ntwo\n" }
[[turn]]
when_user_contains = "note"
[[turn.calls]]
tool = "file_write"
arguments = { path = "notes.sh", content = "one\nthree\n" }
[[turn]]
when_user_contains = "note"
text = "Noted."

[[turn]]
when_user_contains = "both"
[[turn.calls]]
tool = "code_execute"
arguments = { language = "shell", code = "for i in $(seq 100); do echo a-tick-$i; echo >a-tick-$i; sleep 0.1; done" }
[[turn.calls]]
tool = "code_execute"
arguments = { language = "shell", code = "for i in $(seq 100); do echo b-tick-$i; echo >b-tick-$i; sleep 0.1; done" }
[[turn]]
when_user_contains = "both"
text = "Both."

[[turn]]
text = """
# Hello

- *one*
- `two`\u001b[2J

| a | b |
|---|---|
| 1 | 2 |
"""
"#;

fn chat(home: &Home, args: &[&str]) -> Command {
    let model = format!("scripted:{}", home.file("model.toml", MODEL));
    let mut command = home.harombe(["chat", "--model", &model]);
    command.args(args);
    command
}

fn piped(home: &Home, args: &[&str], input: &str) -> Ran {
    let model = format!("scripted:{}", home.file("model.toml", MODEL));
    let mut all = vec!["chat", "--model", model.as_str()];
    all.extend(args);
    home.run_with_input(all, input.as_bytes())
}

#[test]
fn over_a_pipe_it_answers_line_by_line_in_plain_text() {
    let home = Home::new();
    let ran = piped(&home, &[], "hello\\\nthere\n\n//etc/hosts\n/tools\n/model\n").good();
    let answer = "  # Hello\n  • *one*\n  • `two`\u{fffd}[2J\n\n  a │ b\n  ──┼──\n  1 │ 2\n";
    assert_eq!(ran.out.matches(answer).count(), 2, "{}", ran.out);
    let tool = ran
        .out
        .lines()
        .find(|line| line.contains("code_execute"))
        .unwrap();
    assert!(tool.contains("HIGH"), "{}", ran.out);
    assert!(ran.out.contains("scripted, from model.toml"), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}'), "{:?}", ran.out);
    assert!(
        !home.data().join("chat_history").exists(),
        "what a program says is not kept"
    );
}

#[test]
fn what_cannot_be_done_is_told_and_the_conversation_goes_on() {
    let home = Home::new();
    let ran = piped(&home, &[], "/hlep\n/load zzzz\n/model nobody\n/forget\nhello\n").good();
    for told in [
        "there is no /hlep; did you mean /help?",
        "there is no agent \"nobody\"; the server has default",
        "there is no session to forget",
        "• *one*",
    ] {
        assert!(ran.out.contains(told), "{told:?} is missing: {}", ran.out);
    }
    let ran = piped(&home, &[], "hello\n/hlep\n");
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    piped(&home, &["--agent", "nobody"], "hello\n").refused(&["there is no agent \"nobody\""]);
}

#[test]
fn over_a_pipe_somebody_else_approves() {
    let home = Home::new();
    let mut chat = Live::start(chat(&home, &[]));
    chat.type_in("count them\n");
    let approval = word_after(&chat.wait_for("approvals approve "), "approvals approve ");
    home.run(["approvals", "approve", &approval, "--comment", "go"])
        .good();
    chat.wait_for("approved by");
    chat.wait_for("counted-23");
    chat.wait_for("It is counted-23");
    assert!(chat.end().success(), "{}", chat.seen);
    assert_eq!(
        chat.seen.matches("I will **count** them.").count(),
        1,
        "{}",
        chat.seen
    );
}

#[test]
fn a_file_that_is_written_again_is_shown_as_what_changes() {
    let home = Home::new();
    let mut chat = Live::start(chat(&home, &[]));
    chat.type_in("note it\n");
    // Nothing is written before it is approved: what the file has until then is there to be compared with.
    for _ in 0..2 {
        let approval = word_after(&chat.wait_for("approvals approve "), "approvals approve ");
        home.run(["approvals", "approve", &approval]).good();
    }
    chat.wait_for("Noted.");
    assert!(chat.end().success(), "{}", chat.seen);
    for part in [
        "┌─ notes.sh\n  │ one\n  │ two\n",
        "┌─ changes of notes.sh\n  │   one\n  │ - two\n  │ + three\n",
    ] {
        assert_eq!(chat.seen.matches(part).count(), 1, "{part:?}: {}", chat.seen);
    }
}

#[test]
fn who_approves_a_change_has_been_shown_the_content() {
    let home = Home::new();
    let mut chat = at_terminal(&home, "--no-history", |command| {
        command.env("NO_COLOR", "1");
    });
    chat.wait_for(PROMPT);
    chat.type_in("note it\r");
    chat.wait_for(QUESTION);
    chat.type_in("y\r");
    chat.wait_for("changes of notes.sh");
    chat.wait_for("run all of this? [y]es [n]o [c]omment [v]iew whole");
    chat.type_in("y\r");
    chat.wait_for("┌─ notes.sh");
    chat.wait_for("│ three");
    chat.wait_for(QUESTION);
    chat.type_in("y\r");
    chat.wait_for("Noted.");
    chat.wait_for(PROMPT);
    chat.type_in("/quit\r");
    assert!(chat.end().success(), "{}", chat.seen);
}

/// Files that the calls which were told to tick have made so far.
fn ticks(home: &Home) -> usize {
    let mut folders = vec![home.data().join("broker/workspaces")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else {
                count += usize::from(entry.file_name().to_string_lossy().contains("-tick-"));
            }
        }
    }
    count
}

fn wait_for_ticks(home: &Home, least: usize) {
    while ticks(home) < least {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_another_call_prints_takes_no_question_back_and_hides_nothing() {
    let home = Home::new();
    let mut chat = at_terminal(&home, "--no-history", |command| {
        command.env("NO_COLOR", "1");
    });
    chat.wait_for(PROMPT);
    chat.type_in("both of them\r");
    chat.wait_for(QUESTION);
    chat.type_in("y\r");
    chat.wait_for(QUESTION);
    // One prints while the other is decided about.
    wait_for_ticks(&home, 5);
    chat.type_in("y");
    wait_for_ticks(&home, ticks(&home) + 5);
    chat.type_in("\r");
    // What happened meanwhile comes now, with nothing missing.
    chat.wait_for("approved by");
    chat.wait_for("-tick-10");
    chat.wait_for("approved by");
    chat.type_in("\u{3}");
    chat.wait_for("cancelled");
    chat.wait_for(PROMPT);
    chat.type_in("/quit\r");
    assert!(chat.end().success(), "{}", chat.seen);
    assert!(!chat.seen.contains("did not get here"), "{}", chat.seen);
}

#[test]
fn what_ran_while_nobody_was_connected_is_shown_with_its_output() {
    let home = Home::new();
    let model = format!("scripted:{}", home.file("model.toml", MODEL));
    let _server = home.up(["--model", &model]);
    let mut first = Live::start(home.harombe(["chat"]));
    first.type_in("both of them\n");
    let one = word_after(&first.wait_for("approvals approve "), "approvals approve ");
    let other = word_after(&first.wait_for("approvals approve "), "approvals approve ");
    home.run(["approvals", "approve", &one]).good();
    first.wait_for("-tick-100");
    first.wait_for("finished · exit 0");
    let mut list = Live::start(home.harombe(["chat"]));
    list.type_in("/sessions\n");
    list.wait_for("default");
    list.wait_for("\n");
    assert!(list.end().success(), "{}", list.seen);
    let line = list.seen.lines().find(|line| line.contains("default")).unwrap();
    let id = line.split_whitespace().next().unwrap();
    // Output is told as it happens: a stream of what was journalled has none.
    let mut second = Live::start(home.harombe(["chat", "--session", id]));
    second.wait_for("a run goes on in it:");
    second.wait_for("-tick-100");
    second.wait_for("finished · exit 0");
    home.run(["approvals", "deny", &other]).good();
    assert!(first.end().success(), "{}", first.seen);
    assert!(second.end().success(), "{}", second.seen);
    for chat in [first, second] {
        assert_eq!(chat.seen.matches("-tick-1\n").count(), 1, "{}", chat.seen);
    }
}

/// The program at a terminal of 80 columns.
fn at_terminal(home: &Home, args: &str, prepare: impl FnOnce(&mut Command)) -> Live {
    let model = home.file("model.toml", MODEL);
    let program = env!("CARGO_BIN_EXE_harombe");
    let line =
        format!("stty cols 80 rows 24; exec {program} --data data chat --model scripted:{model} {args}");
    let mut command = home.tool("script");
    command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    command.env("SHELL", "/bin/sh").env("TERM", "xterm");
    prepare(&mut command);
    Live::start(command)
}

const PROMPT: &str = "› ";
const QUESTION: &str = "run exactly this? [y]es [n]o [c]omment";

#[test]
fn at_a_terminal_a_person_talks_and_approves() {
    let home = Home::new();
    let mut chat = at_terminal(&home, "", |_| ());
    chat.wait_for(PROMPT);
    chat.type_in("please count\r");
    chat.wait_for(QUESTION);
    chat.type_in("what?\r");
    chat.wait_for(QUESTION);
    chat.type_in("c\r");
    chat.wait_for("comment:");
    chat.type_in("looks good\r");
    chat.wait_for(QUESTION);
    chat.type_in("y\r");
    chat.wait_for("looks good”");
    chat.wait_for("counted-23");
    chat.wait_for("finished");
    chat.wait_for("isolated by gvisor");
    chat.wait_for("It is counted-23");
    chat.wait_for(PROMPT);
    chat.type_in("/sessions\r");
    chat.wait_for(" ◂");
    chat.wait_for(PROMPT);
    chat.type_in("/forget\r");
    chat.wait_for("What was typed here stays in ");
    chat.wait_for("erase it? [y/N]");
    chat.type_in("yes\r");
    chat.wait_for("erased; the next message begins a session");
    chat.wait_for(PROMPT);
    // Ctrl-D.
    chat.type_in("\u{4}");
    assert!(chat.end().success(), "{}", chat.seen);
    let kept = std::fs::read_to_string(home.data().join("chat_history")).unwrap();
    assert_eq!(kept, "\"please count\"\n\"/sessions\"\n\"/forget\"\n");
    let mode = std::fs::metadata(home.data().join("chat_history"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn without_colours_nothing_is_coloured_and_nothing_moves() {
    let home = Home::new();
    let mut chat = at_terminal(&home, "--no-history", |command| {
        command.env("NO_COLOR", "1");
    });
    chat.wait_for(PROMPT);
    chat.type_in("please count\r");
    chat.wait_for(QUESTION);
    chat.type_in("n\r");
    chat.wait_for("denied");
    chat.wait_for(PROMPT);
    chat.type_in("/quit\r");
    assert!(chat.end().success(), "{}", chat.seen);
    // The editor moves its cursor; colours and lines that move are ours.
    let colour = |rest: &str| {
        rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
            .starts_with('m')
    };
    assert!(!chat.seen.split("\u{1b}[").skip(1).any(colour), "{:?}", chat.seen);
    assert!(
        !chat.seen.contains("thinking") && !chat.seen.contains("counted-23"),
        "{}",
        chat.seen
    );
    assert!(!home.data().join("chat_history").exists());
}

#[test]
fn ctrl_c_cancels_the_run_and_not_the_conversation() {
    let home = Home::new();
    let mut chat = at_terminal(&home, "", |_| ());
    chat.wait_for(PROMPT);
    chat.type_in("please count\r");
    chat.wait_for(QUESTION);
    chat.type_in("\u{3}");
    chat.wait_for("cancelled");
    chat.wait_for(PROMPT);
    chat.type_in("hello\r");
    chat.wait_for("Hello");
    chat.wait_for(PROMPT);
    chat.type_in("\u{4}");
    assert!(chat.end().success(), "{}", chat.seen);
}

#[test]
fn what_somebody_else_decides_takes_the_question_back() {
    let home = Home::new();
    let mut chat = at_terminal(&home, "", |_| ());
    chat.wait_for(PROMPT);
    chat.type_in("please count\r");
    chat.wait_for(QUESTION);
    let list = home.run(["approvals", "list"]).good();
    let id = word_after(&list.out, "▸ approval");
    home.run(["approvals", "approve", &id]).good();
    chat.wait_for("approved");
    chat.wait_for("It is counted-23");
    chat.wait_for(PROMPT);
    // What is typed now is for the editor: nobody waits for an answer any more.
    chat.type_in("/quit\r");
    assert!(chat.end().success(), "{}", chat.seen);
}

#[test]
fn lines_go_on_behind_a_backslash_and_come_back_from_the_history() {
    let home = Home::new();
    let mut chat = at_terminal(&home, "", |_| ());
    chat.wait_for(PROMPT);
    chat.type_in("hello\\\rworld\r");
    chat.wait_for("Hello");
    chat.wait_for(PROMPT);
    chat.type_in(" kept by nobody\r");
    chat.wait_for("Hello");
    chat.wait_for(PROMPT);
    chat.type_in("\u{4}");
    assert!(chat.end().success(), "{}", chat.seen);
    let kept = std::fs::read_to_string(home.data().join("chat_history")).unwrap();
    assert_eq!(kept, "\"hello\\nworld\"\n");
    let mut chat = at_terminal(&home, "", |_| ());
    chat.wait_for(PROMPT);
    // The key that brings back the last line.
    chat.type_in("\u{10}");
    chat.wait_for("world");
    chat.type_in("\r");
    chat.wait_for("Hello");
    chat.wait_for(PROMPT);
    chat.type_in("\u{4}");
    assert!(chat.end().success(), "{}", chat.seen);
}

#[test]
fn sigterm_gives_the_terminal_back() {
    let home = Home::new();
    let model = home.file("model.toml", MODEL);
    let program = env!("CARGO_BIN_EXE_harombe");
    let line =
        format!("{program} --data data chat --model scripted:{model}; echo code=$?; stty -a; echo the end");
    let mut command = home.tool("script");
    command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    command.env("SHELL", "/bin/sh").env("TERM", "xterm");
    let mut chat = Live::start(command);
    chat.wait_for(PROMPT);
    end_chats_on(&home);
    chat.wait_for("code=143");
    chat.wait_for("the end");
    assert!(
        chat.seen.contains(" icanon ") && chat.seen.contains(" echo "),
        "{}",
        chat.seen
    );
    chat.end();
}

/// Asks the chat that works on the home's data directory to end.
fn end_chats_on(home: &Home) {
    let directory = home.path("").canonicalize().unwrap();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let is_here = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == directory);
        if is_here && line.starts_with(env!("CARGO_BIN_EXE_harombe")) {
            let pid = entry.file_name().to_str().unwrap().parse().unwrap();
            rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::TERM)
                .unwrap();
        }
    }
}

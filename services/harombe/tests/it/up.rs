//! `up`, and the commands that attach to it.

use rustix::process::Signal;

use crate::harness::{Home, Live, Ran, word_after};

const ASKS: &str = r#"
[[turn]]
text = "I will count."
[[turn.calls]]
tool = "code_execute"
arguments = { language = "python", code = "print(6 * 7)" }
[[turn]]
text = "It said: {{result}}"
"#;

fn up(home: &Home) -> Live {
    let script = home.file("model.toml", ASKS);
    home.up(["--model", &format!("scripted:{script}")])
}

#[test]
fn it_says_where_it_is_and_ends_when_told_to() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let mut up = home.up([""; 0]);
        let socket = home.data().canonicalize().unwrap().join("harombe.sock");
        assert!(up.seen.contains(socket.to_str().unwrap()), "{}", up.seen);
        assert!(up.seen.contains("gvisor, proven from inside"), "{}", up.seen);
        assert!(
            up.seen.contains("log key   audit.harombe.internal/"),
            "{}",
            up.seen
        );
        up.signal(signal);
        assert!(up.end().success(), "{}", up.seen);
        assert!(!socket.exists());
    }
}

#[test]
fn a_second_one_on_the_same_directory_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    let _first = home.up([""; 0]);
    home.run(["up"])
        .refused(&["another harombe works on", "--data DIR"]);
    home.run(["run", "hi"]).good();
    home.run(["run", "hi", "--model", "scripted:other.toml"])
        .refused(&["a server is running already", "--model"]);
}

#[test]
fn another_terminal_approves_what_a_run_waits_for() {
    let home = Home::new();
    let _up = up(&home);
    let nothing = home.run(["approvals", "list"]).good();
    assert!(nothing.out.contains("nothing waits"), "{nothing:#?}");
    let mut watch = Live::start(home.harombe(["approvals", "watch"]));
    let mut run = Live::start(home.harombe(["run", "how many?"]));
    let line = run.wait_for("answer with: ");
    let id = word_after(&run.seen, "approvals approve");
    assert!(line.contains("harombe --data "), "{line}");

    let waiting = home.run(["approvals", "list"]).good();
    for shown in [
        id.as_str(),
        "print(6 * 7)",
        "risk HIGH",
        "Runs code that the model wrote",
    ] {
        assert!(waiting.out.contains(shown), "{shown:?} is missing: {waiting:#?}");
    }
    watch.wait_for(&id);
    let approved = home
        .run(["approvals", "approve", &id, "--comment", "go on"])
        .good();
    assert!(approved.out.contains("approved by"), "{approved:#?}");
    assert!(run.end().success(), "{}", run.seen);
    for shown in ["approved by", "“go on”", "isolation gvisor", "│ 42", "It said: "] {
        assert!(run.seen.contains(shown), "{shown:?} is missing: {}", run.seen);
    }
    watch.wait_for("approved by");

    // Said again it is the same answer; said otherwise it is refused.
    home.run(["approvals", "approve", &id]).good();
    home.run(["approvals", "deny", &id]).refused(&["ALREADY_DECIDED"]);
    home.run(["approvals", "approve", "nonsense"])
        .refused(&["approval id", "UUID"]);
    let all = home.run(["approvals", "list", "--all"]).good();
    assert!(all.out.contains(&id), "{all:#?}");
}

#[test]
fn what_is_denied_does_not_run() {
    let home = Home::new();
    let _up = up(&home);
    let mut run = Live::start(home.harombe(["run", "how many?"]));
    run.wait_for("answer with: ");
    let id = word_after(&run.seen, "approvals approve");
    home.run(["approvals", "deny", &id]).good();
    assert!(run.end().success(), "{}", run.seen);
    assert!(
        run.seen.contains("denied by") && !run.seen.contains("│ 42"),
        "{}",
        run.seen
    );
    let started = home.run(["audit", "query", "--kind", "exec.started"]).good();
    assert_eq!(started.out, "");
}

#[test]
fn ctrl_c_cancels_the_run_and_not_the_server() {
    let home = Home::new();
    let _up = up(&home);
    let mut run = Live::start(home.harombe(["run", "how many?"]));
    run.wait_for("answer with: ");
    run.signal(Signal::INT);
    assert_eq!(run.end().code(), Some(130), "{}", run.seen);
    assert!(run.seen.contains("done       cancelled"), "{}", run.seen);
    home.run(["approvals", "list"]).good();
}

#[test]
fn without_a_server_a_run_serves_itself_and_another_terminal_approves() {
    let home = Home::new();
    let script = home.file("model.toml", ASKS);
    let model = format!("scripted:{script}");
    let mut run = Live::start(home.harombe(["run", "how many?", "--model", &model]));
    run.wait_for("answer with: ");
    let id = word_after(&run.seen, "approvals approve");
    home.run(["approvals", "approve", &id]).good();
    assert!(run.end().success(), "{}", run.seen);
    assert!(run.seen.contains("│ 42"), "{}", run.seen);
    home.run(["approvals", "list"]).refused(&["nothing runs on"]);
}

#[test]
fn a_run_that_serves_itself_ends_in_order_when_it_is_told_to() {
    let home = Home::new();
    let script = home.file("model.toml", ASKS);
    let model = format!("scripted:{script}");
    let mut run = Live::start(home.harombe(["run", "how many?", "--model", &model]));
    run.wait_for("answer with: ");
    run.signal(Signal::TERM);
    assert_eq!(run.end().code(), Some(143), "{}", run.seen);
    assert!(!home.data().join("harombe.sock").exists());
    home.run(["audit", "verify"]).good();
}

#[test]
fn a_file_is_there_for_the_code_and_the_session_goes_on() {
    let home = Home::new();
    let file = home.file("numbers.txt", "1\n2\n3\n");
    let script = home.file(
        "model.toml",
        "[[turn]]\n[[turn.calls]]\ntool = \"file_read\"\narguments = { path = \"numbers.txt\" }\n[[turn]]\ntext = \"Read.\"\n",
    );
    let model = format!("scripted:{script}");
    let Ran { out, .. } = home
        .run(["run", "read", "--file", &file, "--model", &model])
        .good();
    assert!(
        out.contains("numbers.txt · 6 bytes") && out.contains("runs without asking"),
        "{out}"
    );
    let session = word_after(&out, "▸ session");
    let again = home
        .run(["run", "again", "--session", &session, "--model", &model])
        .good();
    assert!(again.out.contains("│ 1"), "the file is still there: {again:#?}");
}

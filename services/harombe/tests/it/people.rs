//! Erasing a person from the command line: asked for by name, told in sentences.

use crate::harness::{Home, Live};

const SAVED: &str = r#"{"memory_id":"0192f3a1-7c4d-7000-8000-000000000001","kind":"MEMORY_KIND_FACT","text":"The harbour office opens at seven.","speaker":"ann","time":"2026-01-02T03:04:05Z","importance":0.5,"provenance":{"agent":"default"}}"#;

/// A server at whose socket ann sits, who has a key beside, and of whom there is a memory and a session.
fn with_ann() -> (Home, Live) {
    let home = Home::new();
    let config = home.file("harombe.toml", "[gateway]\nperson = \"ann\"\n");
    let server = home.up(["--config", &config]);
    home.run(["keys", "create", "ann"]).good();
    home.run_with_input(["memory", "import", "-"], SAVED.as_bytes())
        .good();
    home.run(["run", "hi"]).good();
    (home, server)
}

fn has_memory(home: &Home) -> bool {
    home.run(["memory", "list"]).good().out.contains("harbour")
}

#[test]
fn a_person_is_erased_and_it_is_told_what_went() {
    let (home, _server) = with_ann();
    assert!(has_memory(&home));
    let ran = home.run(["people", "erase", "ann", "--yes"]).good();
    for told in [
        "revoked: ",
        "erased: 1 session",
        "destroyed: the key",
        "Nothing is left of ann",
    ] {
        assert!(ran.out.contains(told), "{told:?} is missing: {ran:#?}");
    }
    assert!(!has_memory(&home));
    let listed = home.run(["keys", "list"]).good();
    assert!(!listed.out.contains("until revoked"), "{listed:#?}");
    home.run(["audit", "verify"]).good();

    let again = home.run(["people", "erase", "nobody", "--yes"]).good();
    assert_eq!(again.out.lines().count(), 1, "{again:#?}");
    home.run(["people", "erase", "no/name", "--yes"])
        .refused(&["INVALID_ARGUMENT"]);
}

#[test]
fn nothing_is_erased_before_somebody_has_typed_the_name() {
    let (home, _server) = with_ann();
    home.run(["people", "erase", "ann"])
        .refused(&["terminal", "--yes"]);
    home.run_with_input(["people", "erase", "ann"], b"ann\n")
        .refused(&["terminal", "--yes"]);
    assert!(has_memory(&home));

    let ask = || {
        let program = env!("CARGO_BIN_EXE_harombe");
        let line = format!("stty cols 100; exec {program} --data data people erase ann");
        let mut command = home.tool("script");
        command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
        command.env("SHELL", "/bin/sh").env("TERM", "xterm");
        let mut terminal = Live::start(command);
        terminal.wait_for("Nobody can undo it.");
        terminal.wait_for("type the name to go on:");
        terminal
    };
    for other in ["y\n", "\n", "Ann\n"] {
        let mut terminal = ask();
        terminal.type_in(other);
        terminal.wait_for("nothing was erased");
        assert_eq!(terminal.end().code(), Some(1), "{}", terminal.seen);
    }
    let mut terminal = ask();
    terminal.type_in("\u{4}");
    terminal.wait_for("nothing was erased");
    assert_eq!(terminal.end().code(), Some(1), "{}", terminal.seen);
    let mut terminal = ask();
    terminal.type_in("\u{3}");
    terminal.wait_for("interrupted");
    assert_eq!(terminal.end().code(), Some(130), "{}", terminal.seen);
    assert!(has_memory(&home));

    let mut terminal = ask();
    terminal.type_in("ann\n");
    terminal.wait_for("Nothing is left of ann");
    assert!(terminal.end().success(), "{}", terminal.seen);
    assert!(!has_memory(&home));
}

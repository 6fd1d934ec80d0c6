//! `sandbox run`.

use crate::harness::{Home, Ran};

fn python(home: &Home, code: &str) -> Ran {
    home.run(["sandbox", "run", "--language", "python", "--code", code])
}

#[test]
fn the_codes_exit_code_and_streams_are_the_commands() {
    let home = Home::new();
    let ran = python(
        &home,
        "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)",
    );
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (Some(3), "out\n", "err\n")
    );
    let ran = home.run(["sandbox", "run", "--language", "shell", "--code", "kill -9 $$"]);
    assert_eq!(ran.code, Some(137), "{ran:#?}");

    // Typing the command was the approval, and is recorded as such; nothing of the session stays.
    let log = home.run(["audit", "query", "--kind", "approval.decided"]).good();
    assert_eq!(
        log.out
            .matches("approved by invocation: harombe sandbox run")
            .count(),
        2,
        "{log:#?}"
    );
}

#[test]
fn code_comes_from_a_file_or_standard_input() {
    let home = Home::new();
    let file = home.file("hello.sh", "echo from a file");
    let ran = home.run(["sandbox", "run", "--language", "shell", &file]).good();
    assert_eq!(ran.out, "from a file\n");
    let ran = home.run_with_input(["sandbox", "run", "--language", "shell", "-"], b"echo from input");
    assert_eq!(ran.good().out, "from input\n");
    let ran = home.run(["sandbox", "run", "--language", "shell"]);
    assert_eq!(ran.code, Some(2), "{ran:#?}");
}

#[test]
fn bytes_that_are_no_text_come_through() {
    let home = Home::new();
    let code = "import sys; sys.stdout.buffer.write(bytes(range(256)))";
    let output = home
        .harombe(["sandbox", "run", "--language", "python", "--code", code])
        .output()
        .unwrap();
    assert_eq!(output.stdout, (0..=255).collect::<Vec<u8>>());
    assert!(output.status.success());
}

#[test]
fn a_language_that_there_is_not_is_refused() {
    let home = Home::new();
    home.run(["sandbox", "run", "--language", "cobol", "--code", "STOP RUN."])
        .refused(&["cobol", "python", "javascript", "shell"]);
}

#[test]
fn what_does_not_end_is_ended() {
    let home = Home::new();
    let config = home.file("harombe.toml", "[hitl.limits]\ntime = \"5s\"\n");
    let code = "print('begun', flush=True)\nwhile True: pass";
    let ran = home.run([
        "--config",
        &config,
        "sandbox",
        "run",
        "--language",
        "python",
        "--code",
        code,
    ]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(137), "begun\n"), "{ran:#?}");
    assert!(ran.err.contains("TIME_LIMIT"), "{ran:#?}");
}

#[test]
fn what_prints_without_end_is_ended() {
    let home = Home::new();
    let ran = python(&home, "while True: print('x' * 1000)");
    assert_eq!(ran.code, Some(137));
    assert!(ran.out.len() <= 1024 * 1024, "{} bytes", ran.out.len());
    assert!(ran.err.contains("OUTPUT_LIMIT"), "{}", ran.err);
}

#[test]
fn there_is_no_network_and_no_file_of_the_host() {
    let home = Home::new();
    let secret = home.file("secret", "dear");
    let code = format!(
        "import os, socket; print(os.path.exists({secret:?})); socket.create_connection(('127.0.0.1', 22), 1)"
    );
    let ran = python(&home, &code);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "False\n"), "{ran:#?}");
}

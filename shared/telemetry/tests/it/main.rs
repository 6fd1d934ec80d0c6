//! What holds for a whole process is tried in one of its own: this test program, run again.

use std::process::Command;

use harombe_telemetry::{Error, Format, Options, init};

fn options() -> Options {
    Options {
        format: Format::Json,
        filter: "info".to_owned(),
    }
}

#[test]
fn a_panic_is_a_line_in_the_log() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "a_process_that_panics"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with('{'))
        .unwrap_or_else(|| panic!("no line in {text}"));
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["message"], "panicked: it had to be");
    assert_eq!(line["thread"], "worker");
    assert!(line["location"].as_str().unwrap().contains("main.rs"), "{line}");
}

#[test]
#[ignore = "run by a_panic_is_a_line_in_the_log"]
fn a_process_that_panics() {
    init(&options()).unwrap();
    assert!(matches!(init(&options()), Err(Error::Twice)));
    let worker = std::thread::Builder::new().name("worker".to_owned());
    assert!(worker.spawn(|| panic!("it had to be")).unwrap().join().is_err());
}

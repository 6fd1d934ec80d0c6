//! Each measurement of memory, and of messages, for a moment: it ends, says one line, and nothing in it went wrong. What it
//! measures is not looked at: other work on the machine decides that.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test they help")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

fn measured(args: &[&str]) -> Value {
    let ran = Command::new(env!("CARGO_BIN_EXE_harombe-load"))
        .args(args)
        .args(["--seconds", "1", "--warmup", "0"])
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{args:?}: {err}");
    assert_eq!(out.lines().count(), 1, "{out}");
    let line: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(line["errors"], 0, "{line}");
    assert!(line["n"].as_u64().unwrap() > 0, "{line}");
    line
}

/// As `deploy/setup/models.sh` puts it there.
fn model() -> String {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"),
        PathBuf::from,
    );
    let folder = cache.join("harombe/tools/models/all-minilm-l6-v2");
    assert!(
        folder.is_dir(),
        "{} is absent; run deploy/setup/models.sh",
        folder.display()
    );
    folder.to_str().unwrap().to_owned()
}

#[test]
fn messages_without_memories_say_nothing_of_any() {
    let line = measured(&["message"]);
    assert_eq!(line["place"], "embedded");
    assert_eq!(line["recall"], Value::Null);
}

#[test]
fn messages_with_memories_recall_them_by_words() {
    let line = measured(&["message", "--memories", "300"]);
    let recall = &line["recall"];
    assert_eq!(recall["means"], "LEXICAL", "{line}");
    assert_eq!(recall["messages_with_fault"], 0, "{line}");
    assert_eq!(recall["messages_without"], 0, "{line}");
    assert!(recall["memories_each"].as_f64().unwrap() >= 1.0, "{line}");
    assert!(recall["memories_after"].as_u64().unwrap() >= 300, "{line}");
}

#[test]
fn messages_with_memories_recall_them_by_meaning() {
    let line = measured(&["message", "--memories", "60", "--model", &model()]);
    let recall = &line["recall"];
    assert_eq!(recall["means"], "HYBRID", "{line}");
    assert!(recall["embedded_per_s"].as_f64().unwrap() > 0.0, "{line}");
    assert!(recall["memories_each"].as_f64().unwrap() >= 1.0, "{line}");
}

#[test]
fn questions_are_answered_with_and_without_a_model() {
    let line = measured(&["recall", "--memories", "60", "--tenants", "3"]);
    assert_eq!(line["means"], "LEXICAL", "{line}");
    assert_eq!(line["asked_before_errors"], 0, "{line}");
    assert_eq!(line["embedded_per_s"], Value::Null, "{line}");
    let line = measured(&[
        "recall",
        "--memories",
        "60",
        "--tenants",
        "3",
        "--model",
        &model(),
    ]);
    assert_eq!(line["means"], "HYBRID", "{line}");
    assert_eq!(line["asked_before_errors"], 0, "{line}");
}

#[test]
fn what_is_saved_is_found_and_embedded() {
    let line = measured(&["remember", "--tenants", "3", "--concurrency", "2"]);
    assert_eq!(line["not_found"], 0, "{line}");
    assert_eq!(line["embedding"], Value::Null, "{line}");
    let line = measured(&[
        "remember",
        "--tenants",
        "3",
        "--concurrency",
        "2",
        "--model",
        &model(),
    ]);
    assert_eq!(line["not_found"], 0, "{line}");
    assert!(
        line["embedding"]["raw_tokens_per_s"].as_f64().unwrap() > 0.0,
        "{line}"
    );
}

#[test]
fn a_mixed_load_goes_through_all_that_a_person_can_do() {
    let line = measured(&["soak", "--concurrency", "2"]);
    let done = &line["done"];
    assert_eq!(done["failed"], 0, "{line}");
    for what in [
        "messages",
        "saved",
        "searched",
        "listed",
        "forgotten",
        "restored",
        "erased",
        "sessions_deleted",
    ] {
        assert!(done[what].as_u64().unwrap() > 0, "{what}: {line}");
    }
}

//! The crate's own fixtures: every secret disappears under its name, no look-alike does.
#![expect(clippy::expect_used, reason = "a fixture that cannot be read fails its test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harombe_redact::Scanner;

fn decode(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).expect("base64")).expect("utf-8")
}

/// Lines are `kind text value`, the last two in base64.
#[test]
fn secrets_disappear() {
    let mut wrong = Vec::new();
    for line in include_str!("fixtures/secrets.txt").lines() {
        let mut fields = line.split_whitespace();
        let kind = fields.next().expect("kind");
        let (text, value) = (
            decode(fields.next().expect("text")),
            decode(fields.next().expect("value")),
        );
        let redacted = Scanner::shared().redact(&text);
        let hidden = !redacted.text.contains(&value);
        let named = redacted.findings.iter().any(|finding| finding.kind == kind);
        if !hidden || !named || redacted.findings.len() != 1 {
            wrong.push(format!("{kind}: {text}\n    -> {}", redacted.text));
        }
        let again = Scanner::shared().redact(&redacted.text);
        if !again.findings.is_empty() {
            wrong.push(format!("{kind}: a marker was redacted again: {}", again.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Lines are base64 of a text without secrets.
#[test]
fn look_alikes_stay() {
    let mut wrong = Vec::new();
    for line in include_str!("fixtures/benign.txt").lines() {
        let text = decode(line);
        let redacted = Scanner::shared().redact(&text);
        if !redacted.findings.is_empty() {
            wrong.push(format!("{text}\n    -> {}", redacted.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

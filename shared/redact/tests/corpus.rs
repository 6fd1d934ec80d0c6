//! Measures recall and false positives on a corpus beside the workspace, when it is there.
#![expect(clippy::expect_used, reason = "a fixture that cannot be read fails its test")]

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harombe_redact::Scanner;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text_b64: String,
    #[serde(default)]
    value_b64: String,
    kind: String,
    is_secret: bool,
    group: String,
}

#[derive(Default)]
struct Tally {
    cases: usize,
    hits: usize,
}

impl Tally {
    fn add(&mut self, hit: bool) {
        self.cases += 1;
        self.hits += usize::from(hit);
    }
}

fn decode(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).expect("base64")).expect("utf-8")
}

#[test]
fn corpus() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/secrets/corpus.jsonl");
    let Ok(lines) = std::fs::read_to_string(&path) else {
        println!("no corpus beside the workspace; the fixtures of this crate stand alone");
        return;
    };
    let (mut core, mut evasion, mut benign) = (Tally::default(), Tally::default(), Tally::default());
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let case: Case = serde_json::from_str(line).expect("a corpus line");
        let text = decode(&case.text_b64);
        let redacted = Scanner::shared().redact(&text);
        if !case.is_secret {
            if !redacted.findings.is_empty() {
                println!("false positive {}: {}", case.kind, redacted.text);
            }
            benign.add(!redacted.findings.is_empty());
            continue;
        }
        let value = decode(&case.value_b64);
        let start = text.find(&value).expect("the text holds its value");
        let covered = redacted
            .findings
            .iter()
            .any(|f| f.range.start <= start && f.range.end >= start + value.len());
        let hidden = covered && !redacted.text.contains(&value);
        if !hidden {
            println!("missed {} ({}): {}", case.kind, case.group, redacted.text);
        }
        if case.group == "core" {
            core.add(hidden);
        } else {
            evasion.add(hidden);
        }
    }
    println!(
        "core {}/{}, evasion {}/{}, false positives {}/{}",
        core.hits, core.cases, evasion.hits, evasion.cases, benign.hits, benign.cases
    );
    assert!(core.hits * 100 >= core.cases * 98, "recall fell below 98 %");
    assert!(
        benign.hits * 100 <= benign.cases * 3,
        "false positives rose above 3 %"
    );
}

//! The program as it is started: what it prints, and what does not keep it from that.

use std::process::Command;

use serde_json::{Value, json};

#[test]
fn odd_turns_and_questions_without_words_fail_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = json!({
        "session_1_date_time": "1:56 pm on 8 May, 2022",
        "session_1": [
            {"speaker": "Ann\u{7}", "dia_id": "D1:1", "text": "We adopted a puppy\u{0} from the shelter."},
            {"speaker": "Bo", "dia_id": "D1:2", "text": " "},
            {"speaker": "Bo", "dia_id": "D1:3", "text": "My oven is broken again."},
        ],
        "qa": [
            {"question": "Where is the puppy from?\u{1b}", "category": 4, "evidence": ["D1:1"]},
            {"question": " ", "category": 1, "evidence": ["D1:3"]},
            {"question": "", "category": 1, "evidence": []},
        ],
    });
    std::fs::write(folder.path().join("odd.json"), file.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_harombe-recall"))
        .arg(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    let line: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&line["questions"], &line["memories"]), (&json!(2), &json!(3)));
    assert_eq!(line["recall_at_1"], 0.5, "{line}");
    assert_eq!(line["by_category"]["multi_hop"]["recall_at_20"], 0.0);
}

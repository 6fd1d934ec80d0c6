//! `audit query` and `audit verify`.

use serde_json::Value;

use crate::harness::{Home, Ran};

fn key(home: &Home) -> String {
    let key = std::fs::read_to_string(home.data().join("audit/keys/verifier.pub")).unwrap();
    key.trim().to_owned()
}

#[test]
fn a_log_is_verified_with_the_key_kept_elsewhere() {
    let home = Home::new();
    home.run(["run", "hi"]).good();
    let ran = home.run(["audit", "verify"]).good();
    assert!(ran.out.starts_with("verified: 2 entries"), "{ran:#?}");
    assert!(
        ran.out.contains("the key beside the log") && ran.out.contains("keep it elsewhere"),
        "{ran:#?}"
    );
    let ran = home.run(["audit", "verify", "--key", &key(&home)]).good();
    assert!(ran.out.contains("the key that you gave"), "{ran:#?}");
}

#[test]
fn a_key_of_another_log_verifies_nothing() {
    let (home, other) = (Home::new(), Home::new());
    for home in [&home, &other] {
        home.run(["run", "hi"]).good();
    }
    home.run(["audit", "verify", "--key", &key(&other)])
        .refused(&["not verified", "not signed with the key that you gave"]);
    home.run(["audit", "verify", "--key", "nonsense"])
        .refused(&["--key", "malformed"]);
}

#[test]
fn without_a_log_there_is_nothing_to_verify() {
    let home = Home::new();
    for command in ["verify", "query"] {
        home.run(["audit", command])
            .refused(&["there is no log at", "--data DIR"]);
    }
    assert!(!home.data().exists(), "nothing was made");
}

#[test]
fn damage_is_named_by_entry_and_kind() {
    let home = Home::new();
    for _ in 0..3 {
        home.run(["run", "hi"]).good();
    }
    let log = home.data().join("audit/audit.db");
    let sound = std::fs::read(&log).unwrap();
    let json = home
        .run(["audit", "query", "--json", "--from", "3", "--limit", "1"])
        .good();
    let entry: Value = serde_json::from_str(json.out.lines().next().unwrap()).unwrap();
    let id = entry["leaf"]["event_id"].as_str().unwrap().as_bytes();

    let mut changed = sound.clone();
    for at in 0..changed.len() - id.len() {
        if sound[at..].starts_with(id) {
            changed[at + id.len() - 1] ^= 1;
        }
    }
    std::fs::write(&log, changed).unwrap();
    home.run(["audit", "verify"])
        .refused(&["not verified", "entry 3"]);

    std::fs::write(&log, vec![0; 4_000]).unwrap();
    home.run(["audit", "verify"])
        .refused(&["not verified", "cannot be read"]);
    home.run(["audit", "query"]).refused(&["cannot be read"]);

    std::fs::write(&log, sound).unwrap();
    home.run(["audit", "verify"]).good();
}

#[test]
fn entries_are_found_by_kind_service_and_place() {
    let home = Home::new();
    home.run(["run", "hi"]).good();
    home.run(["run", "hi"]).good();
    let lines = |args: &[&str]| -> Vec<String> {
        let Ran { out, .. } = home.run([&["audit", "query"], args].concat()).good();
        out.lines().map(str::to_owned).collect()
    };
    assert_eq!(lines(&[]).len(), 4);
    assert_eq!(lines(&["--kind", "run.started"]).len(), 2);
    assert_eq!(lines(&["--service", "hitl"]).len(), 0);
    let last = lines(&["--from", "3"]);
    assert!(last.len() == 1 && last[0].contains("run.finished"), "{last:?}");
    let limited = home.run(["audit", "query", "--limit", "1"]).good();
    assert!(limited.err.contains("--from 1"), "{limited:#?}");
}

//! `audit query` and `audit verify`.

use serde_json::Value;

use crate::harness::{Home, Ran};

fn key(home: &Home) -> String {
    let key = std::fs::read_to_string(home.data().join("audit/keys/verifier.pub")).unwrap();
    key.trim().to_owned()
}

/// The log's entries, a line each. Those of the first key and of remembered turns are made while the program does something
/// else, and at a later start when it ends before.
fn entries(home: &Home) -> Vec<String> {
    let Ran { out, .. } = home.run(["audit", "query"]).good();
    out.lines().map(str::to_owned).collect()
}

#[test]
fn a_log_is_verified_with_the_key_kept_elsewhere() {
    let home = Home::new();
    home.run(["run", "hi"]).good();
    let ran = home.run(["audit", "verify"]).good();
    let verified = format!("verified: {} entries", entries(&home).len());
    assert!(ran.out.starts_with(&verified), "{ran:#?}");
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
    let all = lines(&[]);
    let others = lines(&["--kind", "key.created"]).len() + lines(&["--kind", "memory.saved"]).len();
    assert_eq!(all.len(), 4 + others);
    assert_eq!(lines(&["--kind", "run.started"]).len(), 2);
    assert_eq!(lines(&["--kind", "run.finished"]).len(), 2);
    assert_eq!(lines(&["--service", "hitl"]).len(), 0);
    assert_eq!(lines(&["--from", "3"]), all[3..]);
    let limited = home.run(["audit", "query", "--limit", "1"]).good();
    assert!(limited.err.contains("--from 1"), "{limited:#?}");
}

#[test]
fn a_kept_checkpoint_shows_that_a_log_was_put_back() {
    let home = Home::new();
    home.run(["run", "hi"]).good();
    let log = home.data().join("audit");
    let before = std::fs::read(log.join("audit.db")).unwrap();
    let first_lost = format!("entry {}", entries(&home).len());
    home.run(["run", "hi"]).good();
    let kept = home.file("kept", std::fs::read(log.join("checkpoint")).unwrap());
    let ran = home.run(["audit", "verify", "--checkpoint", &kept]).good();
    assert!(ran.out.contains("the checkpoint that you gave"), "{ran:#?}");

    std::fs::write(log.join("audit.db"), before).unwrap();
    std::fs::remove_file(log.join("checkpoint")).unwrap();
    home.run(["audit", "verify"]).good();
    home.run(["audit", "verify", "--checkpoint", &kept])
        .refused(&["not verified", &first_lost, "cut off"]);
    home.run(["audit", "verify", "--checkpoint", "absent"])
        .refused(&["cannot read the checkpoint", "absent"]);
    let other = home.file("other", "nonsense");
    home.run(["audit", "verify", "--checkpoint", &other])
        .refused(&["not one that the log's key has signed"]);
}

#[tokio::test]
async fn a_log_on_postgres_is_read_and_verified_by_url_and_by_configuration() {
    let database = harombe_testkit::postgres::Database::create().await;
    let url = database.url();
    let home = Home::new();
    let config = home.file(
        "harombe.toml",
        format!("[audit.store.postgres]\nurl = \"{url}\"\n"),
    );
    home.run(["audit", "verify", "--postgres", &url])
        .refused(&["there is no audit log in that database"]);
    home.run(["run", "hi", "--config", &config]).good();

    let ran = home.run(["audit", "verify", "--config", &config]).good();
    assert!(ran.out.starts_with("verified: "), "{ran:#?}");
    let kept = home.data().join("audit/checkpoint");
    let (key, kept) = (key(&home), kept.to_str().unwrap());
    let verify = [
        "audit",
        "verify",
        "--postgres",
        &url,
        "--key",
        &key,
        "--checkpoint",
        kept,
    ];
    let ran = home.run(verify).good();
    assert!(ran.out.contains("the key that you gave"), "{ran:#?}");

    // Somebody elsewhere sees the entries, and their details only with the key from the service's directory.
    let elsewhere = Home::new();
    let query = [
        "audit",
        "query",
        "--json",
        "--kind",
        "run.started",
        "--postgres",
        &url,
    ];
    let details = |home: &Home| {
        let ran = home.run(query).good();
        serde_json::from_str::<Value>(ran.out.trim()).unwrap()["details"].clone()
    };
    assert!(details(&home).is_object());
    assert!(details(&elsewhere).is_null());
    home.run([
        "audit",
        "verify",
        "--postgres",
        "postgres://nobody:secret@localhost/x",
    ])
    .refused(&["must not hold a password"]);
}

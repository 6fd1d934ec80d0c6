//! The demo tells the whole story, and every line of it is true.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Home, Ran};

#[test]
fn it_tells_the_whole_story_in_order() {
    let home = Home::new();
    let Ran { out, .. } = home.run(["demo", "--yes"]).good();
    let story = [
        "seven services in this process; the model is scripted",
        "sandbox gvisor: the isolation was proven from inside",
        "name the one that earned most first",
        "I will keep to that.",
        "a session of its own",
        "orders.csv · 202281 bytes · in the workspace",
        "recalled   ",
        "│ with open(\"orders.csv\", newline=\"\") as file:",
        "risk HIGH · waits for approval",
        "approved by ",
        "unattended",
        "running in a fresh sandbox · isolation gvisor",
        "│ north       1270    103,407.52",
        "socket.create_connection",
        "Tries to reach the network",
        "│ no network: ",
        "https://figures.example.com/2025.json",
        "denied · EGRESS_DENIED",
        "│ connect with: [REDACTED:",
        "redacted · 1 × ",
        "North earned most in 2025: 103,407.52",
        "done       answered",
        "× approval.requested",
        "× egress.decided",
        "· denied",
        "verified   ",
        "one byte of entry ",
        "verifying the copy fails: ",
        " was changed",
        &format!("kept in {}", home.data().display()),
    ];
    let mut rest = out.as_str();
    for part in story {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("{part:?} is missing or out of order: {out}");
        };
        rest = after;
    }
    assert!(!out.contains("pQ7xLm2vZt9r"), "the secret was shown: {out}");
    assert!(!out.contains('\u{1b}'), "colours where there is no terminal");

    // The directory is kept, is its owner's alone, and is a data directory like any other.
    let mode = std::fs::metadata(home.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    home.run(["audit", "verify"]).good();
    let started = home.run(["audit", "query", "--kind", "exec.started"]).good();
    assert_eq!(started.out.lines().count(), 4, "{started:#?}");
    let decided = home.run(["audit", "query", "--kind", "approval.decided"]).good();
    assert_eq!(
        decided.out.matches("\"unattended\":true").count(),
        3,
        "{decided:#?}"
    );
    let log = home.run(["audit", "query"]).good();
    assert!(!log.out.contains("pQ7xLm2vZt9r"), "the secret is in the log");
}

#[test]
fn without_a_directory_nothing_stays() {
    let home = Home::new();
    std::fs::create_dir(home.path("tmp")).unwrap();
    let output = home
        .bare()
        .args(["demo", "--yes"])
        .env("TMPDIR", home.path("tmp"))
        .output()
        .unwrap();
    Ran::of(&output).good();
    assert!(crate::harness::is_empty(&home.path("tmp")));
    assert!(!home.path(".local").exists());
}

//! What is remembered: taken over, found, hidden, brought back, erased, and written down again.

use crate::harness::Home;

const LINES: &str = r#"
{"memory_id":"0192f3a1-7c4d-7000-8000-000000000001","kind":"MEMORY_KIND_FACT","text":"The harbour office opens at seven.","speaker":"ann","time":"2026-01-02T03:04:05Z","importance":0.5,"provenance":{"agent":"default"}}

{"memory_id":"0192f3a1-7c4d-7000-8000-000000000002","kind":"MEMORY_KIND_FACT","text":"Ann takes her tea without sugar.","speaker":"ann","time":"2026-01-03T03:04:05Z","importance":0.5,"provenance":{"agent":"default"}}
"#;

#[test]
fn memories_are_taken_over_found_forgotten_and_written_down() {
    let home = Home::new();
    let _server = home.up::<&str>([]);
    let file = home.file("memories.jsonl", LINES);
    let ran = home.run(["memory", "import", &file]).good();
    assert_eq!(ran.out, "2 imported · 0 were there already\n");
    let ran = home
        .run_with_input(["memory", "import", "-"], LINES.as_bytes())
        .good();
    assert_eq!(ran.out, "0 imported · 2 were there already\n");

    let ran = home
        .run(["memory", "search", "when does the harbour office open"])
        .good();
    assert!(ran.out.contains("by words alone"), "{}", ran.out);
    let first = ran.out.lines().nth(2).unwrap();
    assert!(
        first.contains("fact") && first.contains("ann: The harbour office"),
        "{}",
        ran.out
    );
    let ran = home
        .run(["memory", "search", "harbour office", "--explain"])
        .good();
    assert!(
        ran.out.contains("The harbour office opens at seven."),
        "{}",
        ran.out
    );

    let id = "0192f3a1-7c4d-7000-8000-000000000002";
    let ran = home.run(["memory", "forget", id]).good();
    assert!(ran.out.contains("forgotten; it is erased on "), "{}", ran.out);
    assert!(!home.run(["memory", "list"]).good().out.contains("tea"));
    assert!(
        home.run(["memory", "list", "--all"])
            .good()
            .out
            .contains("fact (hidden)")
    );
    home.run(["memory", "restore", id]).good();
    assert!(home.run(["memory", "list"]).good().out.contains("tea"));
    let chat = home
        .run_with_input(["chat"], format!("/memory\n/forget {id}\n").as_bytes())
        .good();
    assert!(
        chat.out.contains("Ann takes her tea") && chat.out.contains("memory restore"),
        "{}",
        chat.out
    );
    home.run(["memory", "erase", id]).good();

    let ran = home.run(["memory", "export"]).good();
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    assert!(
        ran.out
            .contains("\"text\":\"The harbour office opens at seven.\""),
        "{}",
        ran.out
    );
    let listed = home.run(["memory", "list", "--json"]).good();
    assert_eq!(listed.out, ran.out);
    assert!(
        home.run(["memory", "stats"])
            .good()
            .out
            .contains("facts            1")
    );
}

#[test]
fn a_line_that_is_no_memory_is_named() {
    let home = Home::new();
    let file = home.file("memories.jsonl", "\n{\"text\": 1}\n");
    home.run(["memory", "import", &file])
        .refused(&["line 2 is no memory", "import the file again"]);
    home.run(["memory", "import", "nowhere"])
        .refused(&["cannot read nowhere"]);
    home.run(["memory", "forget", "x"]).refused(&["INVALID"]);
}

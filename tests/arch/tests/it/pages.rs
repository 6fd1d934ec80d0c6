//! What must be written down.

use std::collections::BTreeSet;

use harombe_error::Reason;

use crate::tree;

#[test]
fn every_reason_has_its_page_and_every_page_its_reason() {
    let dir = tree::root().join("docs/errors");
    let pages: BTreeSet<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let reasons: BTreeSet<String> = Reason::ALL.iter().map(|reason| format!("{reason}.md")).collect();
    assert_eq!(pages, reasons);
    for reason in Reason::ALL {
        let text = std::fs::read_to_string(dir.join(format!("{reason}.md"))).unwrap();
        for part in [
            format!("# {reason}\n"),
            "**What happened.**".to_owned(),
            "**What to do.**".to_owned(),
        ] {
            assert!(text.contains(&part), "{reason}.md lacks {part:?}");
        }
    }
}

#[test]
fn every_service_has_its_readme() {
    let services = [
        "gateway",
        "runtime",
        "memory",
        "sandbox-broker",
        "egress-proxy",
        "hitl",
        "audit",
    ];
    let has_readme = |service: &str| {
        tree::root()
            .join("services")
            .join(service)
            .join("README.md")
            .is_file()
    };
    let missing = services.into_iter().filter(|service| !has_readme(service));
    let missing: Vec<_> = missing.map(str::to_owned).collect();
    tree::none("services without a README.md", &missing);
}

#[test]
fn every_decision_record_has_its_number_its_parts_and_its_line() {
    let dir = tree::root().join("docs/adr");
    let index = std::fs::read_to_string(dir.join("README.md")).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    names.sort();
    assert!(!names.is_empty());
    let mut lines = String::new();
    for (number, name) in (1..).zip(&names) {
        assert!(
            name.starts_with(&format!("{number:04}-")),
            "{name} is number {number}"
        );
        let text = std::fs::read_to_string(dir.join(name)).unwrap();
        let title = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix(&format!("# {number}. ")));
        lines.push_str(&format!(
            "{number}. [{}]({name})\n",
            title.unwrap_or_else(|| panic!("the title of {name}"))
        ));
        for part in ["## Context", "## Options", "## Decision", "## Consequences"] {
            assert!(text.contains(part), "{name} lacks {part:?}");
        }
    }
    assert!(
        index.ends_with(&lines),
        "docs/adr/README.md should end with\n{lines}"
    );
}

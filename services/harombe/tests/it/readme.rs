//! The README's commands do what it says.
//!
//! A block that opens with `sh run` is run line by line, in one directory; a line `# → text` below a command is text that it
//! must print, in that order. A block with `file=NAME` in its first line is written to that file first.

use std::path::Path;

use crate::harness::{Home, Ran};

/// A fenced block: what stands behind its three backticks, and its lines.
struct Block<'a> {
    info: &'a str,
    text: String,
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn blocks(readme: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for line in readme.lines() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(info), None) => {
                let text = String::new();
                open = Some(Block { info, text });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn its_commands_do_what_it_says() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let home = Home::new();
    let program = Path::new(env!("CARGO_BIN_EXE_harombe"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let run = |line: &str| {
        let mut command = home.tool("sh");
        Ran::of(&command.args(["-c", line]).env("PATH", &path).output().unwrap())
    };
    let mut commands = 0;
    for block in blocks(&readme) {
        if let Some((_, name)) = block.info.split_once("file=") {
            home.file(name, &block.text);
        }
        if block.info != "sh run" {
            continue;
        }
        let mut printed = String::new();
        for line in block.text.lines() {
            match line.strip_prefix("# → ") {
                Some(expected) => {
                    let found = printed.split_once(expected).map(|(_, rest)| rest.to_owned());
                    printed = found.unwrap_or_else(|| panic!("{expected:?} is missing: {printed}"));
                }
                None => {
                    commands += 1;
                    printed = run(line).good().out;
                }
            }
        }
    }
    assert!(commands >= 6, "{commands} commands were found");
}

#[test]
fn its_targets_are_in_the_makefile_and_its_links_lead_somewhere() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let mut targets = 0;
    for (_, rest) in readme
        .match_indices("make ")
        .map(|(at, found)| readme.split_at(at + found.len()))
    {
        let target: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
        // Prose may make things too; a target is what stands in a block or between backticks.
        if ["demo", "test", "cluster"].contains(&target.as_str()) {
            targets += 1;
            assert!(makefile.contains(&format!("\n{target}:")), "no target {target}");
        }
    }
    assert!(targets >= 3, "{targets} targets were found");
    for (at, found) in readme.match_indices("](") {
        let link = readme[at + found.len()..].split(')').next().unwrap();
        assert!(root().join(link).exists(), "{link} is not there");
    }
}

#[test]
fn its_transcript_is_what_the_demo_prints() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = blocks(&readme);
    let told = &blocks
        .iter()
        .find(|block| block.info == "text demo")
        .unwrap()
        .text;
    let Ran { out, .. } = Home::new().run(["demo", "--yes"]).good();
    // What differs from run to run, or is folded for the page, is left out.
    let same = |line: &&str| {
        let short = line.chars().count() < 90;
        // The first key is made, and recorded, whenever the gateway comes to it.
        let counted = ["signed checkpoints", "byte of entry"];
        short
            && !line.contains('…')
            && ![" ms", "waits for approval", "approved by", "▸ data"]
                .iter()
                .chain(&counted)
                .any(|part| line.contains(part))
    };
    for line in told.lines().filter(same) {
        let words = line.trim_start_matches('▸').trim();
        assert!(
            out.contains(words),
            "the demo does not print {words:?} any more: {out}"
        );
    }
}

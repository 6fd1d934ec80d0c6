//! Reading the work tree.

use std::path::{Path, PathBuf};

/// The root of the work tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A file of the tree: its path from the root, and its text.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The lines outside of test-only items, numbered from 1, without comments. Where an item ends is told by its
    /// indentation, which rustfmt keeps.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut lines = (1..).zip(self.text.lines());
        std::iter::from_fn(move || {
            loop {
                let (number, line) = lines.next()?;
                if line.trim() == "#[cfg(test)]" {
                    skip_item(&mut lines);
                } else if !line.trim_start().starts_with("//") {
                    return Some((number, line));
                }
            }
        })
    }
}

/// Takes the lines of one item: its other attributes, its first line and, when that is not all, what follows up to the
/// line that closes it.
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) {
    let is_preface = |line: &str| line.trim_start().starts_with("#[") || line.trim_start().starts_with("//");
    let Some((_, first)) = lines.find(|(_, line)| !is_preface(line)) else {
        return;
    };
    if first.ends_with([';', ',', '}']) {
        return;
    }
    let indentation = first.len() - first.trim_start().len();
    let closes = |line: &str| line.get(indentation..).is_some_and(|rest| rest.starts_with('}'));
    let is_last = |line: &str| {
        closes(line)
            && line
                .get(..indentation)
                .is_some_and(|before| before.trim().is_empty())
    };
    lines.find(|(_, line)| is_last(line));
}

#[test]
fn code_is_what_stands_outside_of_tests() {
    let text = "\
//! Why.
mod a;
#[cfg(test)]
mod b;
mod c;

#[cfg(test)]
impl D {
    fn e() {
        f();
    }
}

struct G {
    #[cfg(test)]
    h: u8,
    i: u8,
}

impl G {
    // j
    #[cfg(test)]
    #[expect(unused, reason = \"k\")]
    pub(crate) async fn l(
        &self,
    ) -> u8 {
        match m {
            n => {}
        }
    }

    fn o() {}
}

#[cfg(test)]
mod tests {
    fn p() {
    }
}
";
    let file = Source {
        path: String::new(),
        text: text.to_owned(),
    };
    let code: Vec<_> = file.code().filter(|(_, line)| !line.is_empty()).collect();
    let expected = [
        (2, "mod a;"),
        (5, "mod c;"),
        (14, "struct G {"),
        (17, "    i: u8,"),
        (18, "}"),
        (20, "impl G {"),
        (32, "    fn o() {}"),
        (33, "}"),
    ];
    assert_eq!(code, expected);
}

/// Every Rust file under `shared`, `services` and `tests`, build scripts included.
pub(crate) fn rust() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for top in ["shared", "services", "tests"] {
        collect(&root.join(top), &root, &mut found);
    }
    assert!(found.len() > 50, "only {} Rust files found", found.len());
    found
}

/// The Rust files of the product itself: under `src/`, and not a test of its own.
pub(crate) fn product() -> Vec<Source> {
    let is_test = |path: &str| {
        path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("/contract.rs")
    };
    let mut files = rust();
    files.retain(|file| {
        file.path.contains("/src/") && !file.path.starts_with("tests/") && !is_test(&file.path)
    });
    files
}

fn collect(dir: &Path, root: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, root, found);
            }
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.push(Source { path, text });
        }
    }
}

/// Fails with all the faults at once.
#[track_caller]
pub(crate) fn none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

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
    /// The lines before the file's own unit tests, numbered from 1, without comments.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
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

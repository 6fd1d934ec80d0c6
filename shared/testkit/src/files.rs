//! What lies on the disk.

#![expect(clippy::unwrap_used, reason = "a test whose files cannot be read fails")]

use std::path::{Path, PathBuf};

/// Every regular file under a directory.
#[must_use]
pub fn files_under(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files
}

/// The files under a directory whose bytes hold that text anywhere.
#[must_use]
pub fn holding(root: &Path, text: &str) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    files_under(root).into_iter().filter(holds).collect()
}

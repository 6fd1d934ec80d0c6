//! A path inside a workspace, as callers write it.

use std::fmt;

/// Longest path, in bytes.
const MAX_LENGTH: usize = 1024;
/// Longest name in it, in bytes: what Linux file systems take.
const MAX_NAME: usize = 255;
/// Most names in it.
const MAX_DEPTH: usize = 32;
/// What the workspace is called inside a sandbox: callers may write paths as programs do.
const INSIDE: &str = "/workspace";

/// A relative path without `.` and `..`; empty for the workspace itself.
///
/// This is for clear errors. What keeps a path inside is the kernel's resolution, not this check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspacePath(String);

/// Not a path inside a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Absolute, and not below `/workspace`.
    #[error("the path must be relative or below /workspace")]
    Absolute,
    /// Has a part that leads upwards.
    #[error("the path must not contain ..")]
    Upwards,
    /// Has a NUL byte.
    #[error("the path must not contain NUL")]
    Nul,
    /// Too long, too deep, or with too long a name.
    #[error("the path is too long")]
    TooLong,
    /// Names the workspace itself where a file is meant.
    #[error("the path must name a file")]
    NoFile,
}

impl WorkspacePath {
    /// A path to a file or directory; the empty path and `.` are the workspace itself.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        if text.len() > MAX_LENGTH {
            return Err(InvalidPath::TooLong);
        }
        if text.contains('\0') {
            return Err(InvalidPath::Nul);
        }
        let relative = match text.strip_prefix(INSIDE) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
            _ if text.starts_with('/') => return Err(InvalidPath::Absolute),
            _ => text,
        };
        let names: Vec<&str> = relative
            .split('/')
            .filter(|name| !matches!(*name, "" | "."))
            .collect();
        if names.contains(&"..") {
            return Err(InvalidPath::Upwards);
        }
        if names.len() > MAX_DEPTH || names.iter().any(|name| name.len() > MAX_NAME) {
            return Err(InvalidPath::TooLong);
        }
        Ok(Self(names.join("/")))
    }

    /// A path to a file, so not the workspace itself.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse_file(text: &str) -> Result<Self, InvalidPath> {
        let path = Self::parse(text)?;
        // A trailing slash asks for a directory.
        if path.0.is_empty() || text.ends_with('/') {
            Err(InvalidPath::NoFile)
        } else {
            Ok(path)
        }
    }

    /// The path, `.` for the workspace itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if self.0.is_empty() { "." } else { &self.0 }
    }

    /// The names of the directories above, outermost first, and the last name.
    pub(super) fn split(&self) -> (Vec<&str>, &str) {
        let mut names: Vec<&str> = self.0.split('/').collect();
        let last = names.pop().unwrap_or_default();
        (names, last)
    }
}

impl fmt::Display for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let check = |text: &str, expected: Result<&str, InvalidPath>| {
            let got = WorkspacePath::parse(text);
            assert_eq!(
                got.as_ref().map(WorkspacePath::as_str),
                expected.as_ref().map(|e| *e),
                "{text:?}"
            );
        };
        check("data.csv", Ok("data.csv"));
        check("./a//b/./c", Ok("a/b/c"));
        check("/workspace/a/b", Ok("a/b"));
        check("/workspace", Ok("."));
        check("", Ok("."));
        check(".hidden/..name", Ok(".hidden/..name"));
        check("/workspaces/a", Err(InvalidPath::Absolute));
        check("/etc/passwd", Err(InvalidPath::Absolute));
        check("../a", Err(InvalidPath::Upwards));
        check("a/../b", Err(InvalidPath::Upwards));
        check("/workspace/../etc/passwd", Err(InvalidPath::Upwards));
        check("a\0b", Err(InvalidPath::Nul));
        check(&"a/".repeat(33), Err(InvalidPath::TooLong));
        check(&"n".repeat(256), Err(InvalidPath::TooLong));
        check(&"n/".repeat(1000), Err(InvalidPath::TooLong));
    }

    #[test]
    fn a_file_needs_a_name() {
        for text in ["", ".", "/workspace", "/workspace/", "a/"] {
            assert_eq!(
                WorkspacePath::parse_file(text),
                Err(InvalidPath::NoFile),
                "{text:?}"
            );
        }
    }
}

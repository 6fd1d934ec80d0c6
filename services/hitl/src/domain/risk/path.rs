//! Reads a path as its author may have meant it, on Unix or on Windows.

/// Whether `path` is absolute, starts at a home directory or a drive, climbs with `..`, or holds a NUL.
pub(super) fn leaves(path: &str) -> bool {
    let path = path.trim_start().as_bytes();
    let absolute = matches!(path, [b'/' | b'\\' | b'~', ..] | [b'a'..=b'z' | b'A'..=b'Z', b':', ..]);
    absolute
        || path.contains(&0)
        || path
            .split(|b| matches!(b, b'/' | b'\\'))
            .any(|part| part == b"..")
}

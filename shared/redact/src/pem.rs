//! Private key blocks: where one begins, whether a line is part of its body, where it ends.

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// The text that makes the scanner look.
pub(crate) const ANCHOR: &str = "-----BEGIN ";
pub(crate) const KIND: &str = "private_key";
/// Labels are short (RFC 7468 section 3 gives examples of at most 22 characters).
const LABEL_MAX: usize = 40;
/// A body shorter than this is an illustration.
const BODY_MIN: usize = 16;

/// Length of the `-----BEGIN … PRIVATE KEY-----` at the head of `text`.
pub(crate) fn header_len(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(BEGIN)?;
    let window = rest.get(..LABEL_MAX + DASHES.len()).unwrap_or(rest);
    let label_len = memchr::memmem::find(window, DASHES)?;
    let label = window.get(..label_len)?;
    let private = memchr::memmem::find(label, b"PRIVATE KEY").is_some();
    let shaped = label
        .iter()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b' ');
    (private && shaped).then_some(BEGIN.len() + label_len + DASHES.len())
}

/// Where the end marker in `text` ends, if there is one.
pub(crate) fn end_marker(text: &[u8]) -> Option<usize> {
    let start = memchr::memmem::find(text, END)?;
    let label = start + END.len();
    let tail = text.get(label..)?;
    Some(memchr::memmem::find(tail, DASHES).map_or(text.len(), |n| label + n + DASHES.len()))
}

/// What follows a header on its own line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SameLine {
    /// A whole block, or a body that stops before the line does: the secret ends at this offset.
    Block(usize),
    /// Nothing, or body up to the end of the line: the next lines decide or continue.
    Continues { body: bool },
    /// Something that is no key.
    Other,
}

/// Judges `rest`, the part of the line behind the header. Covers keys in JSON and source strings,
/// where the line breaks are written `\n`.
pub(crate) fn same_line(rest: &[u8]) -> SameLine {
    if let Some(end) = end_marker(rest) {
        let before = memchr::memmem::find(rest, END)
            .and_then(|n| rest.get(..n))
            .unwrap_or_default();
        let body = before.iter().filter(|b| is_base64(**b)).count();
        return if body >= BODY_MIN {
            SameLine::Block(end)
        } else {
            SameLine::Other
        };
    }
    let run = rest
        .iter()
        .take_while(|b| is_base64(**b) || b" \t\r\\".contains(b))
        .count();
    let body = rest
        .get(..run)
        .unwrap_or_default()
        .iter()
        .filter(|b| is_base64(**b))
        .count();
    if body >= BODY_MIN {
        return if run == rest.len() {
            SameLine::Continues { body: true }
        } else {
            SameLine::Block(run)
        };
    }
    let filler = strip_tail(rest);
    if filler.iter().all(|b| b.is_ascii_whitespace()) {
        SameLine::Continues { body: false }
    } else {
        SameLine::Other
    }
}

/// What a line inside a block is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Base64 of this length.
    Body(usize),
    /// `Proc-Type: 4,ENCRYPTED` and its like (RFC 1421).
    Header,
    Blank,
    Other,
}

pub(crate) fn line(text: &[u8]) -> Line {
    if text.trim_ascii().is_empty() {
        return Line::Blank;
    }
    let body = strip_tail(strip_head(text));
    if !body.is_empty() && body.iter().all(|b| is_base64(*b)) {
        return Line::Body(body.len());
    }
    let name = body
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'-')
        .count();
    if name > 0 && body.get(name..).is_some_and(|rest| rest.starts_with(b": ")) {
        Line::Header
    } else {
        Line::Other
    }
}

/// Whether the line after a lone header makes it the beginning of a key.
pub(crate) fn starts_body(text: &[u8]) -> bool {
    match line(text) {
        Line::Body(len) => len >= BODY_MIN,
        Line::Header => true,
        Line::Blank | Line::Other => false,
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Indentation and the marks of quotes, comments, lists and string literals.
fn strip_head(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii_start();
    while let [b'>' | b'|' | b'#' | b'*' | b'"' | b'\'' | b'-', rest @ ..] = text {
        text = rest.trim_ascii_start();
    }
    text
}

/// The ends of string literals: `\n" +`, `',`.
fn strip_tail(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii_end();
    loop {
        text = match text {
            [rest @ .., b'\\', b'n' | b'r'] => rest,
            [rest @ .., b'"' | b'\'' | b',' | b';' | b'\\' | b')'] => rest,
            [rest @ .., b' ', b'+'] => rest,
            _ => return text,
        }
        .trim_ascii_end();
    }
}

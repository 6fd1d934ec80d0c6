//! Secrets that only their name gives away: `password = x` in env, JSON, YAML, code, flags and headers.

use std::ops::Range;

use crate::benign;
use crate::candidate::Candidate;
use crate::checksum::entropy;
use crate::names::{self, Class};

/// A name is looked for this far around the anchor.
const NAME_REACH: usize = 64;
/// Values beyond this are data, not secrets with a name.
const VALUE_MAX: usize = 8 * 1024;
const CONFIDENCE: u8 = 70;

/// Words that make [`find`] look; every sensitive name holds one of them.
pub(crate) const ANCHORS: &[&str] = &[
    "pass",
    "pwd",
    "pw",
    "secret",
    "token",
    "key",
    "auth",
    "credential",
    "creds",
    "bearer",
    "jwt",
    "psk",
];

/// What was learnt about a line while searching it, so that no stretch of it is walked again for each anchor.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The last unquoted run: any value that starts inside ends where it ends.
    run: Range<usize>,
    /// End of the last name looked at.
    name_end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// `=` with nothing around it.
    Tight,
    /// `:`, `=` with blanks, `=>`, `:=`, `<tag>`.
    Loose,
    /// A blank or a comma: weak evidence, so the value must look random.
    Weak,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Quoted,
    /// `NAME=value` at the start of a line, up to the next blank.
    Environment,
    Bare,
}

struct Value {
    span: Range<usize>,
    form: Form,
}

/// The value that the name around `hit` announces, if it is one that must not be seen.
pub(crate) fn find(line: &[u8], hit: Range<usize>, seen: &mut Seen) -> Option<Candidate> {
    let name = name_around(line, &hit);
    if name.end <= seen.name_end {
        return None;
    }
    seen.name_end = name.end;
    let text = line.get(name.clone())?;
    let (separator, at) = separator(line, &name)?;
    let class = names::classify(text)?;
    if class == Class::Cookie {
        return None;
    }
    let value = value(line, &name, separator, at, seen)?;
    let bytes = line.get(value.span.clone())?;
    let upper = !text.iter().any(u8::is_ascii_lowercase);
    plausible(bytes, class, value.form, separator, upper).then_some(Candidate {
        kind: class.kind(),
        start: value.span.start,
        end: value.span.end,
        evidence: name.start,
        confidence: CONFIDENCE,
    })
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn name_around(line: &[u8], hit: &Range<usize>) -> Range<usize> {
    let before = line
        .get(hit.start.saturating_sub(NAME_REACH)..hit.start)
        .unwrap_or_default();
    let after = line.get(hit.end..).unwrap_or_default();
    let left = before.iter().rev().take_while(|b| is_name_byte(**b)).count();
    let right = after
        .iter()
        .take(NAME_REACH)
        .take_while(|b| is_name_byte(**b))
        .count();
    let (mut start, mut end) = (hit.start - left, hit.end + right);
    while start < hit.start && line.get(start).is_some_and(|b| matches!(b, b'-' | b'.')) {
        start += 1;
    }
    while end > hit.end
        && end
            .checked_sub(1)
            .and_then(|i| line.get(i))
            .is_some_and(|b| matches!(b, b'-' | b'.'))
    {
        end -= 1;
    }
    start..end
}

/// Length of a quotation mark at the head of `text`, escaped or not.
fn quote_len(text: &[u8]) -> usize {
    match text {
        [b'\\', b'"' | b'\'', ..] => 2,
        [b'"' | b'\'' | b'`', ..] => 1,
        _ => 0,
    }
}

fn blanks(text: &[u8]) -> usize {
    text.iter()
        .take(32)
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count()
}

fn separator(line: &[u8], name: &Range<usize>) -> Option<(Separator, usize)> {
    let mut at = name.end;
    let closing = quote_len(line.get(at..)?);
    at += closing;
    if line.get(at) == Some(&b']') {
        at += 1;
    }
    let gap = blanks(line.get(at..)?);
    at += gap;
    let rest = line.get(at..)?;
    let (kind, len) = match rest {
        [b':', b':', ..] | [b'!', ..] => return None,
        [b':', b'=', ..] | [b'=', b'>', ..] | [b'?', b'=', ..] | [b'=', b'=', ..] => (
            Separator::Loose,
            rest.iter().take(3).take_while(|b| b":=>?".contains(b)).count(),
        ),
        [b'=', ..] => (Separator::Tight, 1),
        [b':', ..] => (Separator::Loose, 1),
        [b',', ..] if closing > 0 => (Separator::Weak, 1),
        [b'>', ..] if name.start.checked_sub(1).and_then(|i| line.get(i)) == Some(&b'<') => {
            (Separator::Loose, 1)
        }
        _ if gap > 0 && closing == 0 && takes_argument(line, name, rest) => (Separator::Weak, 0),
        _ => return None,
    };
    let after = at + len;
    let trailing = blanks(line.get(after..)?);
    let kind = if kind == Separator::Tight && gap + trailing > 0 {
        Separator::Loose
    } else {
        kind
    };
    Some((kind, after + trailing))
}

/// A flag, the word `Bearer`, a line of a netrc file, or a quoted text: there a blank stands before the value.
fn takes_argument(line: &[u8], name: &Range<usize>, rest: &[u8]) -> bool {
    let before = line.get(..name.start).unwrap_or_default();
    let bearer = line
        .get(name.clone())
        .is_some_and(|text| text.eq_ignore_ascii_case(b"bearer"));
    let near = before
        .get(before.len().saturating_sub(NAME_REACH)..)
        .unwrap_or_default();
    bearer || before.ends_with(b"-") || quote_len(rest) > 0 || memchr::memmem::find(near, b"login ").is_some()
}

fn value(
    line: &[u8],
    name: &Range<usize>,
    separator: Separator,
    at: usize,
    seen: &mut Seen,
) -> Option<Value> {
    let mut at = at;
    if let [b'b' | b'r' | b'u' | b'f' | b'@', rest @ ..] = line.get(at..)?
        && quote_len(rest) > 0
    {
        at += 1;
    } else if let Some(skip) = annotation_len(line.get(at..)?) {
        at += skip;
    }
    let quote = quote_len(line.get(at..)?);
    if quote > 0 {
        let start = at + quote + scheme_len(line.get(at + quote..)?);
        if let Some(end) = closing_quote(line, start, line.get(at..at + quote)?) {
            return Some(Value {
                span: start..end,
                form: Form::Quoted,
            });
        }
        return Some(Value {
            span: start..bare_end(line, start, seen),
            form: Form::Bare,
        });
    }
    let start = at + scheme_len(line.get(at..)?);
    if separator == Separator::Tight && starts_line(line.get(..name.start)?) {
        let end = line
            .get(start..)?
            .iter()
            .position(u8::is_ascii_whitespace)
            .map_or(line.len(), |n| start + n);
        // `password=password,` is an argument in source code
        if !line.get(start..end)?.ends_with(b",") {
            return Some(Value {
                span: start..end,
                form: Form::Environment,
            });
        }
    }
    Some(Value {
        span: start..bare_end(line, start, seen),
        form: Form::Bare,
    })
}

/// `str = `, `&str = `, `Option<String> = `: a type between the name and the quoted value.
fn annotation_len(text: &[u8]) -> Option<usize> {
    let window = text.get(..48).unwrap_or(text);
    let equals = window.iter().position(|b| *b == b'=')?;
    let typed = window
        .get(..equals)?
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || b" &'<>:|[]?_".contains(b));
    let after = equals + 1 + blanks(window.get(equals + 1..)?);
    (window.get(..equals)?.ends_with(b" ") && typed && quote_len(window.get(after..)?) > 0).then_some(after)
}

/// `Bearer `, `Basic ` and their like, which stand before the secret.
fn scheme_len(text: &[u8]) -> usize {
    ["bearer ", "basic ", "token ", "apikey ", "bot ", "negotiate "]
        .iter()
        .find(|scheme| {
            text.get(..scheme.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(scheme.as_bytes()))
        })
        .map_or(0, |scheme| scheme.len())
}

fn closing_quote(line: &[u8], start: usize, quote: &[u8]) -> Option<usize> {
    let text = line.get(start..)?;
    let reach = text.get(..VALUE_MAX).unwrap_or(text);
    if quote.len() > 1 {
        return memchr::memmem::find(reach, quote).map(|n| start + n);
    }
    let mark = quote.first()?;
    let mut escaped = false;
    for (i, byte) in reach.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == mark => return Some(start + i),
            _ => {}
        }
    }
    None
}

fn bare_end(line: &[u8], start: usize, seen: &mut Seen) -> usize {
    if !seen.run.contains(&start) {
        let rest = line.get(start..).unwrap_or_default();
        let stop = rest
            .iter()
            .position(|b| b.is_ascii_whitespace() || b"\"'`<>,;&|)}]\\".contains(b));
        seen.run = start..start + stop.unwrap_or(rest.len());
    }
    seen.run.end
}

/// Only blanks, `export`, `set`, `-e` or `ENV` before the name.
fn starts_line(before: &[u8]) -> bool {
    let words = before.trim_ascii();
    [
        &b""[..],
        b"export",
        b"set",
        b"-e",
        b"--env",
        b"env",
        b"ENV",
        b"ARG",
        b"-",
    ]
    .contains(&words)
        || words.ends_with(b" -e")
}

fn plausible(value: &[u8], class: Class, form: Form, separator: Separator, upper_name: bool) -> bool {
    if value.len() > VALUE_MAX || benign::is_placeholder(value) || benign::is_integrity(value) {
        return false;
    }
    if form == Form::Bare && benign::is_expression(value) {
        return false;
    }
    if separator == Separator::Weak {
        return looks_random(value, 12) && entropy(value) >= 3.0 && value.iter().any(u8::is_ascii_digit);
    }
    match class {
        Class::Password => plausible_password(value, form, upper_name),
        Class::Token => !benign::is_uuid(value) && looks_random(value, 10),
        Class::Bearer => looks_random(value, 16),
        _ => benign::is_uuid(value) || looks_random(value, 8),
    }
}

fn plausible_password(value: &[u8], form: Form, upper_name: bool) -> bool {
    if value.len() < 6 || benign::is_path(value) && form != Form::Quoted {
        return false;
    }
    if value.iter().any(u8::is_ascii_digit) {
        return true;
    }
    if value.contains(&b' ') {
        return false;
    }
    if value.iter().all(u8::is_ascii_alphabetic) {
        let humps = value
            .windows(2)
            .filter(|p| matches!(p, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
        return match form {
            // names of types have humps too, and less entropy
            Form::Bare => humps.count() >= 3 && entropy(value) >= 3.9,
            Form::Quoted => value.len() >= 10 || humps.count() >= 3,
            Form::Environment => value.len() >= 20 || humps.count() >= 3 || (value.len() >= 8 && upper_name),
        };
    }
    let lower = value.to_ascii_lowercase();
    let speaks = ["pass", "secret", "token", "key", "pwd"]
        .iter()
        .any(|w| memchr::memmem::find(&lower, w.as_bytes()).is_some());
    !(benign::is_name(value) && (form == Form::Bare || speaks))
}

/// Letters and digits mixed, or enough entropy, and no name that a person would give to something.
fn looks_random(value: &[u8], min: usize) -> bool {
    if value.len() < min || value.contains(&b' ') || benign::is_path(value) || benign::is_name(value) {
        return false;
    }
    let digit = value.iter().any(u8::is_ascii_digit);
    let letter = value.iter().any(u8::is_ascii_alphabetic);
    let bits = entropy(value);
    (digit && letter && bits >= 2.5) || (letter && value.len() >= 16 && bits >= 3.9)
}

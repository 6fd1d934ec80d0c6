//! Texts of two worlds made comparable: ids, hashes and times, which are new each time, give way to numbers and words.

use std::collections::BTreeMap;

/// Gives each id and each hash a number when it is first seen.
pub(crate) struct Neutral<'a> {
    /// A directory that only this world has.
    dir: &'a str,
    names: BTreeMap<String, String>,
}

/// Keys of durations in details.
const DURATION: &str = "\"duration_ms\":";

impl<'a> Neutral<'a> {
    pub(crate) fn new(dir: &'a str) -> Self {
        Self {
            dir,
            names: BTreeMap::new(),
        }
    }

    /// The text with every id, hash and time replaced.
    pub(crate) fn of(&mut self, text: &str) -> String {
        let text = match self.dir {
            "" => text.to_owned(),
            dir => text.replace(dir, "DIR"),
        };
        replace(&text, |kind, found| {
            let count = self.names.len() + 1;
            let name = self.names.entry(found.to_owned());
            name.or_insert_with(|| format!("{kind}-{count}")).clone()
        })
    }

    /// The same for all ids: to sort by.
    pub(crate) fn without_names(text: &str) -> String {
        replace(text, |kind, _| kind.to_owned())
    }
}

fn replace(text: &str, mut name: impl FnMut(&str, &str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut inside = false;
    while let Some(next) = rest.chars().next() {
        // A run of letters and digits is looked at from its beginning only.
        let found = if inside { None } else { find(rest) };
        if let Some((kind, length)) = found {
            let (it, after) = rest.split_at(length);
            if kind == "time" {
                out.push_str("TIME");
            } else {
                out.push_str(&name(kind, it));
            }
            rest = after;
            inside = true;
            continue;
        }
        if let Some(after) = rest.strip_prefix(DURATION) {
            out.push_str("\"duration_ms\":TIME");
            rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
            continue;
        }
        inside = next.is_ascii_alphanumeric();
        out.push(next);
        rest = rest.split_at(next.len_utf8()).1;
    }
    out
}

/// What the text begins with, if that is something to replace, and its length.
fn find(text: &str) -> Option<(&'static str, usize)> {
    const ID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    const TIME: &str = "0000-00-00T00:00:00";
    if fits(text, ID) {
        return Some(("id", ID.len()));
    }
    if fits(text, TIME) {
        let fraction = |next: char| next.is_ascii_digit() || next == '.';
        let after = text.get(TIME.len()..)?.trim_start_matches(fraction);
        let after = after.strip_prefix('Z').unwrap_or(after);
        return Some(("time", text.len() - after.len()));
    }
    let digits = text.bytes().take_while(u8::is_ascii_hexdigit).count();
    (digits == 64).then_some(("hash", digits))
}

/// Whether the text begins as the pattern says: `x` for a hexadecimal digit, `0` for a decimal one.
fn fits(text: &str, pattern: &str) -> bool {
    text.len() >= pattern.len()
        && text
            .bytes()
            .zip(pattern.bytes())
            .all(|(byte, wanted)| match wanted {
                b'x' => byte.is_ascii_hexdigit(),
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "01a206bb-ae62-7ba7-b127-fcf7a922668b";
    const TWO: &str = "01a206bb-ae62-7ba7-b127-000000000000";

    fn check(text: &str, expected: &str) {
        assert_eq!(Neutral::new("/tmp/world").of(text), expected);
    }

    #[test]
    fn what_is_new_each_time_gives_way() {
        check("", "");
        check("none of it: 2026 1-2-3 abcdef", "none of it: 2026 1-2-3 abcdef");
        check(ONE, "id-1");
        check(&format!("{TWO}.{ONE} {TWO}"), "id-1.id-2 id-1");
        check(&format!("x{ONE}"), &format!("x{ONE}"));
        check("at 2026-11-23T10:27:33.123Z, 2026-11-23", "at TIME, 2026-11-23");
        check(&format!("\"{}\" é", "0a".repeat(32)), "\"hash-1\" é");
        check(&"0a".repeat(33), &"0a".repeat(33));
        check("{\"duration_ms\":1234,\"x\":1}", "{\"duration_ms\":TIME,\"x\":1}");
        check("file:/tmp/world/model.toml", "file:DIR/model.toml");
    }

    #[test]
    fn the_same_id_keeps_its_number() {
        let mut neutral = Neutral::new("");
        assert_eq!(neutral.of(TWO), "id-1");
        assert_eq!(neutral.of(ONE), "id-2");
        assert_eq!(neutral.of(TWO), "id-1");
        assert_eq!(Neutral::without_names(&format!("{ONE} {TWO}")), "id id");
    }
}

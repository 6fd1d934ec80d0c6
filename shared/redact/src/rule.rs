//! What a provider rule is made of: anchors that wake it, a pattern that starts at the anchor, a check.

/// What may stand before the anchor.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Before {
    /// Anything: the prefix is specific enough on its own.
    Any,
    /// Nothing that continues a word, except the end of an escape (`\n`, `%3D`, a colour code).
    Boundary,
    /// No byte of the token's own alphabet, which keeps patterns without a length limit linear.
    NotToken,
    /// Between `min` and `max` bytes of a set, which belong to the secret.
    Takes { set: Set, min: usize, max: usize },
}

/// Byte sets for [`Before::Takes`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Set {
    Digits,
    Hex,
    Word,
    Connection,
}

impl Set {
    pub(crate) fn holds(self, byte: u8) -> bool {
        match self {
            Self::Digits => byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'~' | b'.' | b'-'),
            Self::Connection => {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'=' | b';' | b'.' | b'/' | b':' | b'-' | b'_' | b'+')
            }
        }
    }
}

/// What a match must pass besides its shape.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Check {
    /// The shape is proof enough; placeholders are still let through.
    Shape,
    /// At least this many hundredths of a bit per byte.
    Entropy(u16),
    /// CRC-32 in base 62 over the part after the first `_`; without it, only a token that looks random counts.
    Crc,
    /// `user:password` after the last space: the password must look like one.
    UserPassword,
}

/// One row of the provider table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) kind: &'static str,
    /// Literal texts, all of which the pattern can start with; matched by case.
    pub(crate) anchors: &'static [&'static str],
    /// Regular expression over bytes (no Unicode classes), anchored at the anchor's first byte.
    pub(crate) pattern: &'static str,
    pub(crate) before: Before,
    pub(crate) check: Check,
    /// 0..=100; the surer rule names a span that two rules found.
    pub(crate) confidence: u8,
}

impl Rule {
    /// A rule with a left boundary, a shape check and confidence 95.
    pub(crate) const fn new(
        kind: &'static str,
        anchors: &'static [&'static str],
        pattern: &'static str,
    ) -> Self {
        Self {
            kind,
            anchors,
            pattern,
            before: Before::Boundary,
            check: Check::Shape,
            confidence: 95,
        }
    }

    pub(crate) const fn anywhere(self) -> Self {
        Self {
            before: Before::Any,
            ..self
        }
    }

    pub(crate) const fn whole_token(self) -> Self {
        Self {
            before: Before::NotToken,
            ..self
        }
    }

    pub(crate) const fn takes(self, set: Set, min: usize, max: usize) -> Self {
        Self {
            before: Before::Takes { set, min, max },
            ..self
        }
    }

    pub(crate) const fn check(self, check: Check) -> Self {
        Self { check, ..self }
    }

    pub(crate) const fn confidence(self, confidence: u8) -> Self {
        Self { confidence, ..self }
    }
}

/// Whether a token may begin at `at`: the byte before does not continue a word.
pub(crate) fn boundary_before(line: &[u8], at: usize) -> bool {
    let before = line.get(..at).unwrap_or_default();
    let Some(last) = before.last() else {
        return true;
    };
    if !last.is_ascii_alphanumeric() && *last != b'_' {
        return true;
    }
    ends_escape(before)
}

/// `\n`, `%3D`, `\u0022` or `ESC[1;32m` at the end of `before`: the letters there belong to an escape.
fn ends_escape(before: &[u8]) -> bool {
    match before {
        [.., b'\\', b'n' | b't' | b'r'] => true,
        [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => true,
        [.., b'\\', b'u', a, b, c, d] => [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()),
        [rest @ .., b'm'] => {
            let tail = rest.get(rest.len().saturating_sub(12)..).unwrap_or_default();
            let digits = tail
                .iter()
                .rev()
                .take_while(|b| b.is_ascii_digit() || **b == b';')
                .count();
            tail.get(..tail.len() - digits)
                .is_some_and(|head| head.ends_with(b"\x1b["))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::boundary_before;

    #[track_caller]
    fn check(before: &str, expected: bool) {
        assert_eq!(
            boundary_before(before.as_bytes(), before.len()),
            expected,
            "{before:?}"
        );
    }

    #[test]
    fn words_end_where_escapes_end() {
        check("", true);
        check("token=", true);
        check("a-", true);
        check("task", false);
        check("x_", false);
        check("line\\n", true);
        check("token%3D", true);
        check("\\u0022", true);
        check("\x1b[1;32m", true);
        check("item", false);
        check("é", true);
    }
}

//! Secrets in disguise: percent, base64 and hexadecimal encodings, reversed tokens, string pieces joined by
//! `+`, full-width letters and invisible characters.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Runs shorter than this hold no disguised secret.
pub(crate) const RUN_MIN: usize = 20;
const BASE64_MIN: usize = 24;
const HEX_MIN: usize = 32;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Bytes that mean other bytes, with the place each came from.
#[derive(Debug, Default)]
pub(crate) struct Unfolded {
    pub(crate) bytes: Vec<u8>,
    /// For every byte, the range of the source it stands for.
    sources: Vec<(usize, usize)>,
    pub(crate) changed: bool,
}

impl Unfolded {
    fn push(&mut self, byte: u8, source: Range<usize>) {
        self.bytes.push(byte);
        self.sources.push((source.start, source.end));
    }

    /// The part of the source that `span` of the unfolded bytes stands for.
    pub(crate) fn source(&self, span: &Range<usize>) -> Option<Range<usize>> {
        let start = self.sources.get(span.start)?.0;
        let end = self.sources.get(span.end.checked_sub(1)?)?.1;
        Some(start..end)
    }
}

/// The runs of `text` that could hide something: at least [`RUN_MIN`] bytes of the encodings' alphabets.
pub(crate) fn runs(text: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            // a run of RUN_MIN bytes covers every RUN_MIN-th place: probe there, then look to the left
            let probe = at + RUN_MIN - 1;
            let byte = text.get(probe)?;
            if !in_run(*byte) {
                at = probe + 1;
                continue;
            }
            let left = text
                .get(at..probe)
                .unwrap_or_default()
                .iter()
                .rev()
                .take_while(|b| in_run(**b))
                .count();
            let start = probe - left;
            let end = probe
                + text
                    .get(probe..)
                    .unwrap_or_default()
                    .iter()
                    .take_while(|b| in_run(**b))
                    .count();
            at = end;
            if end - start >= RUN_MIN {
                return Some(start..end);
            }
        }
    })
}

fn in_run(byte: u8) -> bool {
    IN_RUN.get(usize::from(byte)).copied().unwrap_or(false)
}

const IN_RUN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        table[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-' | b'=' | b'%' | b'.');
        byte += 1;
    }
    table
};

/// The pieces of a run that may be one encoded word each.
pub(crate) fn pieces(text: &[u8], run: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
    let base = run.start;
    let mut at = base;
    text.get(run)
        .unwrap_or_default()
        .split(|b| matches!(b, b'%' | b'.' | b'='))
        .filter_map(move |piece| {
            let start = at;
            at += piece.len() + 1;
            (piece.len() >= RUN_MIN).then(|| {
                let padding = text.get(start + piece.len()..).unwrap_or_default();
                let padding = padding.iter().take(2).take_while(|b| **b == b'=').count();
                start..start + piece.len() + padding
            })
        })
}

/// Percent-decodes a run that has at least two escapes (RFC 3986 section 2.1).
pub(crate) fn percent(text: &[u8]) -> Option<Unfolded> {
    if memchr::memchr_iter(b'%', text).take(2).count() < 2 {
        return None;
    }
    let mut unfolded = Unfolded::default();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (
            byte,
            text.get(at + 1).and_then(hex_digit),
            text.get(at + 2).and_then(hex_digit),
        ) {
            (b'%', Some(high), Some(low)) => {
                unfolded.push(high << 4 | low, at..at + 3);
                unfolded.changed = true;
                at += 3;
            }
            _ => {
                unfolded.push(*byte, at..at + 1);
                at += 1;
            }
        }
    }
    unfolded.changed.then_some(unfolded)
}

/// The text behind a base64 or hexadecimal word, if it is text.
pub(crate) fn word(piece: &[u8]) -> Option<Vec<u8>> {
    if piece.len() >= HEX_MIN && piece.len().is_multiple_of(2) && piece.iter().all(u8::is_ascii_hexdigit) {
        let decoded = piece
            .chunks_exact(2)
            .map_while(|pair| Some(hex_digit(pair.first()?)? << 4 | hex_digit(pair.get(1)?)?))
            .collect::<Vec<u8>>();
        return is_text(&decoded).then_some(decoded);
    }
    if piece.len() < BASE64_MIN {
        return None;
    }
    let engine = if piece.iter().any(|b| matches!(b, b'-' | b'_')) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    // most long words are no text, and their first bytes tell
    let head = engine.decode(piece.get(..16)?).ok()?;
    if !is_text(&head) {
        return None;
    }
    let decoded = engine.decode(piece).ok()?;
    is_text(&decoded).then_some(decoded)
}

fn is_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace())
}

fn hex_digit(byte: &u8) -> Option<u8> {
    char::from(*byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Texts that make a line worth [`unfold`]ing: literals joined by `+`, U+200B–U+200D, U+2060, U+FEFF, U+00AD,
/// and full-width ASCII (U+FF01–U+FF5E).
pub(crate) const FOLD_ANCHORS: &[&[u8]] = &[
    b"' +",
    b"'+",
    b"\" +",
    b"\"+",
    b"\xE2\x80\x8B",
    b"\xE2\x80\x8C",
    b"\xE2\x80\x8D",
    b"\xE2\x81\xA0",
    b"\xEF\xBB\xBF",
    b"\xC2\xAD",
    b"\xEF\xBC",
    b"\xEF\xBD",
];

/// The line with joined literals run together, invisible characters gone and full-width letters narrowed.
pub(crate) fn unfold(line: &[u8]) -> Option<Unfolded> {
    let mut unfolded = Unfolded::default();
    let mut at = 0;
    while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
        let (byte, len) = match rest {
            [b'\'' | b'"', ..] => match joint_len(rest) {
                Some(len) => (None, len),
                None => (rest.first().copied(), 1),
            },
            [0xE2, 0x80, 0x8B..=0x8D, ..] | [0xE2, 0x81, 0xA0, ..] | [0xEF, 0xBB, 0xBF, ..] => (None, 3),
            [0xC2, 0xAD, ..] => (None, 2),
            [0xEF, 0xBC, low @ 0x81..=0xBF, ..] => (Some(low - 0x60), 3),
            [0xEF, 0xBD, low @ 0x80..=0x9E, ..] => (Some(low - 0x20), 3),
            _ => (rest.first().copied(), 1),
        };
        unfolded.changed |= byte.is_none() || len > 1;
        if let Some(byte) = byte {
            unfolded.push(byte, at..at + len);
        }
        at += len;
    }
    unfolded.changed.then_some(unfolded)
}

/// Length of `' + '` at the head of `text`.
fn joint_len(text: &[u8]) -> Option<usize> {
    let blank = |at: usize| {
        text.get(at..)
            .unwrap_or_default()
            .iter()
            .take(4)
            .take_while(|b| **b == b' ')
            .count()
    };
    let plus = 1 + blank(1);
    if text.get(plus) != Some(&b'+') {
        return None;
    }
    let quote = plus + 1 + blank(plus + 1);
    matches!(text.get(quote), Some(b'\'' | b'"')).then_some(quote + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_wherever_they_start() {
        for lead in 0..45 {
            let mut text = vec![b' '; lead];
            text.extend_from_slice(b"abcdefghijklmnopqrstuvwx rest");
            assert_eq!(
                runs(&text).collect::<Vec<_>>(),
                vec![lead..lead + 24],
                "lead {lead}"
            );
        }
        assert_eq!(runs(b"short words only, none of them long enough").count(), 0);
    }

    #[test]
    fn decodes_text_and_nothing_else() {
        assert_eq!(
            word(b"cGFzc3dvcmQ9aHVudGVyMjIyMg==").as_deref(),
            Some(&b"password=hunter2222"[..])
        );
        assert_eq!(
            word(b"70617373776f72643d68756e746572323232").as_deref(),
            Some(&b"password=hunter222"[..])
        );
        assert_eq!(word(b"9adfb089ed238706fdd057c3d79b9f1cd467a24b"), None);
    }

    #[test]
    fn unfolding_knows_where_bytes_came_from() {
        let unfolded = unfold(b"x = 'ab' + 'cd'").expect("a joint");
        assert_eq!(unfolded.bytes, b"x = 'abcd'");
        assert_eq!(unfolded.source(&(5..9)), Some(5..14));
        assert_eq!(unfold("ａｂ\u{200b}Ｃ".as_bytes()).expect("wide").bytes, b"abC");
        assert!(unfold(b"plain").is_none());
        let percent = percent(b"a%62%63").expect("escapes");
        assert_eq!(percent.bytes, b"abc");
        assert_eq!(percent.source(&(1..3)), Some(1..7));
    }
}

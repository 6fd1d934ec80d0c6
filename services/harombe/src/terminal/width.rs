//! How many columns a text takes on a terminal.

use unicode_width::UnicodeWidthChar as _;

/// Shows the character before it as a picture, two columns wide.
const EMOJI_PRESENTATION: char = '\u{fe0f}';

/// What stands in one place, with its columns: a character and those after it that take none. Never fewer columns than a
/// terminal needs: one that joins pictures to one needs less.
pub(super) fn glyphs(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices();
        let (_, first) = chars.next()?;
        // what it will stand behind may be written before it yet, and widened by it
        let mut columns = match first {
            EMOJI_PRESENTATION => 1,
            first => first.width().unwrap_or(0),
        };
        let mut end = rest.len();
        for (at, next) in chars {
            if next.width() != Some(0) {
                end = at;
                break;
            }
            if next == EMOJI_PRESENTATION {
                columns = columns.max(2);
            }
        }
        let (glyph, after) = rest.split_at_checked(end)?;
        rest = after;
        Some((glyph, columns))
    })
}

pub(super) fn columns(text: &str) -> usize {
    glyphs(text).map(|(_, columns)| columns).sum()
}

/// The beginning of a text that takes at most that many columns.
pub(super) fn fitting(text: &str, most: usize) -> &str {
    let (mut used, mut end) = (0, 0);
    for (glyph, columns) in glyphs(text) {
        used += columns;
        if used > most {
            break;
        }
        end += glyph.len();
    }
    text.get(..end).unwrap_or_default()
}

/// A text in at most that many columns; an ellipsis stands for what was cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let kept = fitting(text, most.saturating_sub(1)).trim_end();
    if most == 0 {
        String::new()
    } else {
        format!("{kept}…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_and_empty_characters_are_counted_for_what_they_take() {
        for (text, expected) in [
            ("abc", 3),
            ("日本", 4),
            ("e\u{301}", 1),
            ("❤\u{fe0f}", 2),
            ("\u{fe0f}", 1),
            ("─│", 2),
            ("", 0),
        ] {
            assert_eq!(columns(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
    }
}

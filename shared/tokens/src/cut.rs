//! Cuts a text into pieces of a bounded length, where no token is cut if that is possible.

/// How far before the end of a piece a good place is looked for, in bytes.
const REACH: usize = 512;

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// What it says.
    pub text: &'a str,
    /// Whether a token may have been cut at its end.
    cut: bool,
}

impl Piece<'_> {
    /// A token that is cut in two counts for at least one of them.
    pub(crate) fn added(&self) -> u64 {
        u64::from(self.cut)
    }
}

/// The pieces, in order; all of them together are the text.
pub(crate) fn pieces(text: &str, most: usize) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = first(rest, most);
        rest = after;
        Some(piece)
    })
}

fn first(text: &str, most: usize) -> (Piece<'_>, &str) {
    if text.len() <= most {
        return (Piece { text, cut: false }, "");
    }
    let end = text.floor_char_boundary(most);
    let good = (end.saturating_sub(REACH).max(1)..end)
        .rev()
        .find(|at| between_words(text.as_bytes(), *at));
    // a character that is longer than a piece is one piece
    let at = good.unwrap_or(end.max(text.chars().next().map_or(0, char::len_utf8)));
    let (text, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    let cut = good.is_none();
    (Piece { text, cut }, rest)
}

/// A single space before a letter begins a token in every tokenizer that is known here.
fn between_words(text: &[u8], at: usize) -> bool {
    let is = |at: Option<usize>, test: fn(&u8) -> bool| at.and_then(|at| text.get(at)).is_some_and(test);
    is(Some(at), |byte| *byte == b' ')
        && is(at.checked_sub(1), u8::is_ascii_graphic)
        && is(at.checked_add(1), u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_pieces_are_the_text_and_none_is_too_long(text in "[a-z é中🎉]{0,400}", most in 1_usize..64) {
            let pieces: Vec<_> = pieces(&text, most).collect();
            let whole: String = pieces.iter().map(|piece| piece.text).collect();
            prop_assert_eq!(&whole, &text);
            for piece in pieces {
                prop_assert!(!piece.text.is_empty());
                prop_assert!(piece.text.len() <= most.max(4));
            }
        }
    }
}

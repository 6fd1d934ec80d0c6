//! Long messages in pieces, each of which can be found by itself.

/// The longest piece, in bytes.
const PIECE: usize = 1600;
/// Most pieces of a message; the rest of it is not remembered.
const PIECES: usize = 40;

/// The text in pieces: it is cut where a paragraph, a line, a sentence or a word ends, the best of these in the second half of
/// what fits.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && pieces.len() < PIECES {
        let (piece, after) = rest.split_at(cut(rest));
        pieces.push(piece.trim_end());
        rest = after.trim_start();
    }
    pieces
}

/// Where the first piece ends.
fn cut(text: &str) -> usize {
    if text.len() <= PIECE {
        return text.len();
    }
    let end = text.floor_char_boundary(PIECE);
    let half = text.floor_char_boundary(PIECE / 2);
    let window = text.get(half..end).unwrap_or_default();
    let after = |mark: &str| window.rfind(mark).map(|at| half + at + mark.len());
    let sentence = [". ", "! ", "? ", "。", ".\n"]
        .into_iter()
        .filter_map(after)
        .max();
    let word = window
        .char_indices()
        .rev()
        .find(|(_, letter)| letter.is_whitespace())
        .map(|(at, letter)| half + at + letter.len_utf8());
    after("\n\n")
        .or_else(|| after("\n"))
        .or(sentence)
        .or(word)
        .unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_one_piece() {
        assert_eq!(pieces("  hello\n"), ["hello"]);
        assert!(pieces(" \n ").is_empty());
        let full = "x".repeat(PIECE);
        assert_eq!(pieces(&full), [full.as_str()]);
    }

    #[test]
    fn a_long_text_is_cut_where_something_ends() {
        let check = |end: &str, at: usize| {
            let text = format!("{}{end}{}", "a b".repeat(300), "c".repeat(PIECE));
            let first = pieces(&text)[0];
            assert_eq!(first.len(), at, "{first:?}");
        };
        check("\n\n", 900);
        check("\n", 900);
        check(". ", 901);
        check(" ", 900);
        let words = "word ".repeat(1000);
        let pieces = pieces(&words);
        assert!(
            pieces
                .iter()
                .all(|piece| piece.len() <= PIECE && piece.ends_with("word"))
        );
        assert_eq!(pieces.join(" "), words.trim_end());
    }

    #[test]
    fn letters_stay_whole_and_the_rest_is_left_out() {
        let text = "ö".repeat(PIECE * PIECES);
        let pieces = pieces(&text);
        assert_eq!(pieces.len(), PIECES);
        assert!(
            pieces
                .iter()
                .all(|piece| piece.len() <= PIECE && !piece.is_empty())
        );
    }
}

//! Which words of a text that streams in are still to be shown, although it may come twice, with gaps, or begin anew.

/// A text as far as it has come, and as far as it stands on the screen.
#[derive(Debug, Default)]
pub(super) struct Streaming {
    /// Without a gap. A piece at the text's beginning begins it anew: what an attempt that broke had said is superseded.
    known: String,
    shown: String,
}

/// What is to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// Nothing.
    None,
    /// The beginning of a text.
    First(String),
    /// What follows on what is shown.
    More(String),
    /// All of a text that takes the place of what is shown.
    Anew(String),
}

impl Streaming {
    /// A piece that begins at that byte.
    pub(super) fn delta(&mut self, offset: u64, piece: &str) -> Words {
        if offset == 0 {
            piece.clone_into(&mut self.known);
        } else {
            let known = usize::try_from(offset).ok().and_then(|at| self.known.get(at..));
            let Some(new) = known.and_then(|known| piece.strip_prefix(known)) else {
                // Said already, or after a gap: the whole text comes later.
                return Words::None;
            };
            self.known.push_str(new);
        }
        // What began anew may still become the same.
        if self.shown.starts_with(&self.known) {
            return Words::None;
        }
        let words = self.follow(&self.known);
        self.shown.clone_from(&self.known);
        words
    }

    /// The whole text; the next piece is another's.
    pub(super) fn finished(&mut self, text: &str) -> Words {
        let words = self.follow(text);
        *self = Self::default();
        words
    }

    fn follow(&self, text: &str) -> Words {
        match text.strip_prefix(&*self.shown) {
            Some("") => Words::None,
            Some(new) if self.shown.is_empty() => Words::First(new.to_owned()),
            Some(new) => Words::More(new.to_owned()),
            None => Words::Anew(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, made: fn(String) -> Words) -> Words {
        made(text.to_owned())
    }

    #[test]
    fn a_text_comes_once_and_in_order() {
        let mut text = Streaming::default();
        assert_eq!(text.delta(0, "one "), words("one ", Words::First));
        assert_eq!(text.delta(2, "e two"), words("two", Words::More));
        assert_eq!(text.delta(4, "two"), Words::None);
        assert_eq!(text.delta(9, "x"), Words::None, "after a gap");
        assert_eq!(text.finished("one two three"), words(" three", Words::More));
        assert_eq!(text.finished("next"), words("next", Words::First));
        assert_eq!(text.finished(""), Words::None);
    }

    #[test]
    fn a_text_that_begins_anew_is_shown_from_where_it_differs() {
        let mut text = Streaming::default();
        assert_eq!(text.delta(0, "one two"), words("one two", Words::First));
        assert_eq!(text.delta(0, "one "), Words::None);
        assert_eq!(text.delta(4, "two three"), words(" three", Words::More));
        assert_eq!(text.delta(0, "one"), Words::None);
        assert_eq!(text.delta(3, "s"), words("ones", Words::Anew));
        assert_eq!(text.delta(4, " more"), words(" more", Words::More));
        assert_eq!(text.finished("ones"), words("ones", Words::Anew));
    }
}

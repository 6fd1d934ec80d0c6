//! The one text that a completion has, from the several texts and their pieces that a run has.

/// Stands between what an agent says before it uses a tool and what it says after, and before what it says instead.
const BREAK: &str = "\n\n";

/// Puts pieces in order. What a client was sent cannot be taken back, so a text that turns out otherwise follows whole.
#[derive(Default)]
pub(crate) struct Text {
    /// Of the text that is being said, as far as it is known without a gap. It begins anew with a piece at its beginning: what
    /// an attempt that broke had said is superseded.
    known: String,
    /// Of that text, as far as the client was sent it.
    sent: String,
    /// A text was said before this one.
    before: bool,
}

impl Text {
    /// A piece that begins at that byte; what of it is new.
    pub(crate) fn delta(&mut self, offset: u64, piece: &str) -> String {
        if offset == 0 {
            piece.clone_into(&mut self.known);
        } else {
            let known = usize::try_from(offset).ok().and_then(|at| self.known.get(at..));
            let Some(new) = known.and_then(|known| piece.strip_prefix(known)) else {
                // Said already, or after a gap: the whole text is waited for.
                return String::new();
            };
            self.known.push_str(new);
        }
        if self.sent.starts_with(&self.known) {
            return String::new();
        }
        match self.known.strip_prefix(&*self.sent) {
            Some(new) => {
                let new = new.to_owned();
                self.say(&new)
            }
            None => {
                self.sent.clone_from(&self.known);
                format!("{BREAK}{}", self.known)
            }
        }
    }

    /// The whole text; what of it is new.
    pub(crate) fn finished(&mut self, text: &str) -> String {
        let rest = match text.strip_prefix(&*self.sent) {
            Some(rest) => self.say(rest),
            None if text.is_empty() => String::new(),
            // Another node, or another attempt, said it in other words.
            None => format!("{BREAK}{text}"),
        };
        self.before |= !text.is_empty() || !self.sent.is_empty();
        self.sent.clear();
        self.known.clear();
        rest
    }

    fn say(&mut self, new: &str) -> String {
        if new.is_empty() {
            return String::new();
        }
        let begins = self.sent.is_empty() && self.before;
        self.sent.push_str(new);
        if begins {
            format!("{BREAK}{new}")
        } else {
            new.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_once_and_in_order() {
        let mut text = Text::default();
        assert_eq!(text.delta(0, "Good "), "Good ");
        assert_eq!(text.delta(0, "Good "), "");
        assert_eq!(text.delta(3, "d day"), "day");
        assert_eq!(text.delta(3, "d "), "");
        assert_eq!(text.finished("Good day."), ".");
        assert_eq!(text.delta(0, "And"), "\n\nAnd");
        assert_eq!(text.finished("And"), "");
    }

    #[test]
    fn after_a_gap_the_rest_comes_at_the_end() {
        let mut text = Text::default();
        assert_eq!(text.delta(0, "Good"), "Good");
        assert_eq!(text.delta(9, "x"), "");
        assert_eq!(text.finished("Good day"), " day");
        assert_eq!(text.delta(2, "ole"), "");
        assert_eq!(text.finished("Whole"), "\n\nWhole");
    }

    #[test]
    fn other_words_follow_whole() {
        let mut text = Text::default();
        assert_eq!(text.delta(0, "Good"), "Good");
        assert_eq!(text.finished("Bad"), "\n\nBad");
        // Neither does a piece that is cut within a letter break anything.
        assert_eq!(text.delta(0, "é"), "\n\né");
        assert_eq!(text.delta(1, "x"), "");
    }

    #[test]
    fn another_attempt_is_told_from_where_it_differs() {
        let mut text = Text::default();
        assert_eq!(text.delta(0, "Good morning"), "Good morning");
        assert_eq!(text.delta(0, "Good "), "", "it may become the same");
        assert_eq!(text.delta(5, "evening"), "\n\nGood evening");
        assert_eq!(text.delta(12, ", all"), ", all");
        assert_eq!(text.finished("Good evening, all."), ".");
        assert_eq!(text.delta(0, "One"), "\n\nOne");
        assert_eq!(text.delta(0, "On"), "");
        assert_eq!(text.delta(2, "e two"), " two", "the same words, and more");
        assert_eq!(text.delta(0, "On"), "");
        assert_eq!(text.finished("On"), "\n\nOn", "it ended earlier");
    }

    #[test]
    fn what_no_attempt_repeats_stays_apart() {
        let mut text = Text::default();
        assert_eq!(text.delta(0, "Let me"), "Let me");
        assert_eq!(text.finished(""), "");
        assert_eq!(text.delta(0, "Done"), "\n\nDone");
    }
}

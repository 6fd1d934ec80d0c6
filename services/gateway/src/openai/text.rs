//! The one text that a completion has, from the several texts and their pieces that a run has.

/// Stands between what an agent says before it uses a tool and what it says after.
const BREAK: &str = "\n\n";

/// Puts pieces in order. What a client was sent cannot be taken back, so a text that turns out otherwise follows whole.
#[derive(Default)]
pub(crate) struct Text {
    /// Of the text that is being said, as far as it was sent.
    sent: String,
    /// A text was said before this one.
    before: bool,
}

impl Text {
    /// A piece that begins at that byte; what of it is new.
    pub(crate) fn delta(&mut self, offset: u64, piece: &str) -> String {
        let sent = u64::try_from(self.sent.len()).unwrap_or(u64::MAX);
        // After a gap the whole text is waited for.
        let Some(known) = sent
            .checked_sub(offset)
            .and_then(|known| usize::try_from(known).ok())
        else {
            return String::new();
        };
        let new = piece.get(known..).unwrap_or_default();
        self.say(new)
    }

    /// The whole text; what of it is new.
    pub(crate) fn finished(&mut self, text: &str) -> String {
        let rest = match text.strip_prefix(&*self.sent) {
            Some(rest) => self.say(rest),
            // Another node said it in other words.
            None => format!("{BREAK}{text}"),
        };
        self.before |= !text.is_empty();
        self.sent.clear();
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
}

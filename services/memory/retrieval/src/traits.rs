//! What an item's wording says of it, whatever the question: whether it asks, and whether it tells a time.

use crate::analysis::words;

/// Words that tell a time, sorted.
static TIME_WORDS: [&str; 35] = [
    "afternoon",
    "ago",
    "april",
    "august",
    "december",
    "evening",
    "february",
    "friday",
    "january",
    "july",
    "june",
    "last",
    "march",
    "monday",
    "month",
    "morning",
    "next",
    "november",
    "october",
    "recently",
    "saturday",
    "september",
    "since",
    "soon",
    "sunday",
    "thursday",
    "today",
    "tomorrow",
    "tonight",
    "tuesday",
    "wednesday",
    "week",
    "weekend",
    "year",
    "yesterday",
];

/// Two bits of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traits {
    /// It ends with a question mark.
    pub(crate) asks: bool,
    /// It has a word that tells a time.
    pub(crate) tells_time: bool,
}

impl Traits {
    pub(crate) fn of(text: &str) -> Self {
        let said = said(text);
        Self {
            asks: said.ends_with('?'),
            tells_time: words(said).any(|word| TIME_WORDS.binary_search(&word.as_str()).is_ok()),
        }
    }
}

/// The text without the description in brackets that may stand at its end: that is of something shown, and was not said.
fn said(text: &str) -> &str {
    let text = text.trim_end();
    let described = text.strip_suffix(']').and_then(|rest| rest.rfind('['));
    described
        .and_then(|at| text.get(..at))
        .map(str::trim_end)
        .filter(|said| !said.is_empty())
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::{TIME_WORDS, Traits};

    #[track_caller]
    fn check(text: &str, asks: bool, tells_time: bool) {
        assert_eq!(Traits::of(text), Traits { asks, tells_time }, "{text}");
    }

    #[test]
    fn wording_is_read_without_what_was_shown() {
        check("How was it?", true, false);
        check("How was it? ", true, false);
        check("How was it? [a photo of a dog]", true, false);
        check("I saw it yesterday. [a clock?]", false, true);
        check("Look! [a photo of a calendar of last year]", false, false);
        check("[last week]", false, true);
        check("We met on Friday", false, true);
        check("", false, false);
        check("]", false, false);
        check("[]", false, false);
    }

    #[test]
    fn the_list_is_sorted_and_without_repetition() {
        assert!(TIME_WORDS.is_sorted_by(|left, right| left < right));
    }
}

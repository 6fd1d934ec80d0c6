//! A question as ranking reads it.

use std::collections::BTreeSet;

use super::beyond::Numbering;
use crate::analysis::words;
use crate::bm25::{QueryTerm, idf};
use crate::participants::Participants;
use crate::times::{self, Period};

/// Bytes of a question that are read.
const MAX_BYTES: usize = 8 * 1024;
/// Terms of a question that are looked for: of more, the rarest.
const MAX_TERMS: usize = 64;

pub(super) struct Question {
    pub(super) terms: Vec<QueryTerm>,
    /// The number of the speaker whom the question is about.
    pub(super) target: Option<u32>,
    pub(super) periods: Vec<Period>,
    pub(super) asks_when: bool,
}

impl Question {
    /// `span` is from the earliest to the latest moment of what is ranked.
    pub(super) fn read(numbering: &Numbering<'_>, text: &str, now_ms: i64, span: (i64, i64)) -> Self {
        let text = text.get(..text.floor_char_boundary(MAX_BYTES)).unwrap_or(text);
        let participants = Participants::of(numbering.index);
        let (first_ms, last_ms) = span;
        Self {
            terms: terms(numbering, &participants, text),
            target: participants.target_of(text),
            periods: times::periods(text, now_ms, first_ms, last_ms),
            asks_when: asks_when(text),
        }
    }

    /// How close a moment is to the times that the question names, from 0 to 1; 0 when it names none.
    pub(super) fn closeness(&self, time_ms: i64) -> f64 {
        let day = times::day_of(time_ms);
        let each = self.periods.iter().map(|period| period.closeness(day));
        each.fold(0.0, f64::max)
    }
}

/// The terms of the question that something holds, each once, without the names of those who take part.
fn terms(numbering: &Numbering<'_>, participants: &Participants, text: &str) -> Vec<QueryTerm> {
    let index = numbering.index;
    let names: BTreeSet<String> = participants
        .name_words()
        .filter_map(|word| index.term_of(&word))
        .collect();
    let mut seen = BTreeSet::new();
    let mut terms: Vec<_> = words(text)
        .filter_map(|word| index.term_of(&word))
        .filter(|term| !names.contains(term) && seen.insert(term.clone()))
        .filter_map(|term| numbering.number(&term))
        .map(|number| QueryTerm {
            number,
            idf: idf(index.len(), index.frequency(number)),
        })
        .collect();
    if terms.len() > MAX_TERMS {
        terms.sort_by(|left, right| right.idf.total_cmp(&left.idf));
        terms.truncate(MAX_TERMS);
    }
    terms
}

/// "When", "what day", "which year", "how long ago" and their like.
fn asks_when(text: &str) -> bool {
    let words: Vec<_> = words(text).collect();
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    (0..words.len()).any(|at| match (word(at), word(at + 1)) {
        ("when", _) => true,
        ("what", next) => matches!(
            next,
            "date" | "dates" | "day" | "days" | "month" | "months" | "year" | "years" | "time" | "times"
        ),
        ("which", next) => matches!(
            next,
            "date" | "dates" | "day" | "days" | "month" | "months" | "year" | "years"
        ),
        ("how", "long") => matches!(word(at + 2), "ago" | "has" | "have"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::asks_when;

    #[test]
    fn questions_for_a_time_are_known() {
        for text in [
            "When did she move?",
            "what day is it",
            "In which year was that?",
            "What time, then?",
            "How long has he lived there?",
        ] {
            assert!(asks_when(text), "{text}");
        }
        for text in [
            "What did she do?",
            "How long is the river?",
            "Which way?",
            "whenever",
            "",
        ] {
            assert!(!asks_when(text), "{text}");
        }
    }
}

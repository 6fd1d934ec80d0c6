//! Who takes part in the conversations, and who of them a question names.
//!
//! A name in a question says whose words answer it more than what they are about, so names are taken out of the words
//! that are looked for, and count as a feature of their own.

use std::collections::BTreeSet;

use crate::analysis::words;
use crate::index::Index;

/// Speakers whose names are looked for: those who said most.
const MAX_PARTICIPANTS: usize = 64;

/// Names that are words as well, and so are only names when they are written as such.
const AMBIGUOUS: [&str; 24] = [
    "april", "august", "bill", "chase", "dawn", "faith", "frank", "grace", "grant", "hope", "hunter", "iris",
    "joy", "june", "mark", "may", "pat", "rich", "robin", "rose", "sky", "summer", "user", "will",
];

struct Participant {
    /// Of the index.
    number: u32,
    /// The name's words in lower case.
    words: Vec<String>,
    /// As it is written.
    first: String,
}

pub(crate) struct Participants {
    all: Vec<Participant>,
}

impl Participants {
    pub(crate) fn of(index: &Index) -> Self {
        let mut speakers: Vec<_> = index
            .speakers()
            .into_iter()
            .map(|(name, (number, count))| (std::cmp::Reverse(count), name, number))
            .collect();
        speakers.sort_unstable();
        speakers.truncate(MAX_PARTICIPANTS);
        let all = speakers.into_iter().filter_map(|(_, name, number)| {
            let words: Vec<_> = words(name).collect();
            let first = name.split_whitespace().next()?.to_owned();
            (!words.is_empty()).then_some(Participant { number, words, first })
        });
        Self { all: all.collect() }
    }

    /// The numbers of the speakers that the question names.
    pub(crate) fn named_in(&self, text: &str) -> BTreeSet<u32> {
        pieces(text)
            .filter_map(|piece| self.named_by(piece))
            .map(|participant| participant.number)
            .collect()
    }

    /// The words of all names, in lower case.
    pub(crate) fn name_words(&self) -> BTreeSet<&str> {
        self.all
            .iter()
            .filter_map(|participant| participant.words.first())
            .map(String::as_str)
            .collect()
    }

    /// The question as the person it names would ask it: "When did Ann's dog die?" becomes "When did my dog die?". People
    /// speak of themselves as "I" and "my", so this is nearer to what they said.
    pub(crate) fn as_if_asked_by_them(&self, text: &str) -> String {
        let mut asked = String::with_capacity(text.len());
        for piece in pieces(text) {
            match self.named_by(piece) {
                Some(_) if possessive(piece).is_some() => asked.push_str("my"),
                Some(_) => asked.push('I'),
                None => asked.push_str(piece),
            }
        }
        asked
    }

    fn named_by(&self, piece: &str) -> Option<&Participant> {
        let name = possessive(piece).unwrap_or(piece);
        self.all.iter().find(|participant| {
            if AMBIGUOUS.contains(&participant.first.to_lowercase().as_str()) {
                name == participant.first
            } else {
                let mut folded = name.chars().flat_map(char::to_lowercase);
                let mut first = participant.first.chars().flat_map(char::to_lowercase);
                !name.is_empty()
                    && std::iter::from_fn(|| folded.next()).eq(std::iter::from_fn(|| first.next()))
            }
        })
    }
}

/// What stands before "'s".
fn possessive(piece: &str) -> Option<&str> {
    ["'s", "\u{2019}s"].iter().find_map(|end| piece.strip_suffix(end))
}

/// The text in pieces that are a word or what stands between words; together they are the text.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let in_word = |char: char| char.is_alphanumeric() || matches!(char, '\'' | '\u{2019}' | '_');
        let end = rest
            .find(|char| in_word(char) != in_word(first))
            .unwrap_or(rest.len());
        let (piece, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(piece)
    })
}

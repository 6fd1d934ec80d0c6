//! From text to terms: the same way for what is remembered and for what is asked.
//!
//! A word is a run of letters, with at most one apostrophe inside; a number is a run of digits that may hold `.`, `,` or
//! `:` between digits. Case is folded, contractions are cut ("didn't" is "did"), words that carry no subject are left out,
//! irregular forms are brought to their base ("bought" to "buy"), and Snowball's English stemmer does the rest. Ideographs
//! and kana, which no space separates, are words of their own.

mod irregular;
mod stop;

use std::collections::HashMap;
use std::sync::LazyLock;

use qdrant_rust_stemmers::{Algorithm, Stemmer};

/// Letters of a word that count. What is longer is no word of a language, and is cut.
const MAX_WORD_CHARS: usize = 40;

const CONTRACTIONS: [&str; 8] = ["n't", "'s", "'re", "'ve", "'ll", "'d", "'m", "'"];

/// What is known of a word without looking at its letters.
enum Known {
    Stop,
    Base(&'static str),
}

/// Both tables in one: every word of every memory is looked up in it.
static KNOWN: LazyLock<HashMap<&'static str, Known>> = LazyLock::new(|| {
    let bases = irregular::BASES
        .iter()
        .map(|(form, base)| (*form, Known::Base(base)));
    let stops = stop::STOP_WORDS.iter().map(|word| (*word, Known::Stop));
    bases.chain(stops).collect()
});

/// Turns words into terms. Holds nothing but the stemmer's tables.
pub(crate) struct Analyzer {
    stemmer: Stemmer,
}

impl Analyzer {
    pub(crate) fn new() -> Self {
        Self {
            stemmer: Stemmer::create(Algorithm::English),
        }
    }

    /// The term of a word of [`words`]; none for a word that says nothing of a subject.
    pub(crate) fn term(&self, word: &str) -> Option<String> {
        let base = match KNOWN.get(word) {
            Some(Known::Stop) => return None,
            Some(Known::Base(base)) => base,
            None => word,
        };
        Some(self.stemmer.stem(base).into_owned())
    }
}

/// The terms of a text in their order; a term comes as often as it is said.
#[must_use]
pub fn terms(text: &str) -> Vec<String> {
    let analyzer = Analyzer::new();
    words(text).filter_map(|word| analyzer.term(&word)).collect()
}

/// The words and numbers of a text in their order, in lower case, without the ends of contractions.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    Words { rest: text }.filter_map(|raw| {
        let word = plain(raw);
        (!word.is_empty()).then_some(word)
    })
}

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let start = self
            .rest
            .find(|char: char| is_letter(char) || char.is_ascii_digit())?;
        let text = self.rest.get(start..)?;
        let first = text.chars().next()?;
        let end = if first.is_ascii_digit() {
            end_of_number(text)
        } else if is_ideograph(first) {
            first.len_utf8()
        } else {
            end_of_word(text)
        };
        let (word, rest) = text.split_at_checked(end)?;
        self.rest = rest;
        Some(word)
    }
}

fn is_letter(char: char) -> bool {
    // Marks that combine with the letter before them are part of the word.
    char.is_alphabetic() || ('\u{300}'..='\u{36f}').contains(&char)
}

fn is_ideograph(char: char) -> bool {
    matches!(char, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_apostrophe(char: char) -> bool {
    matches!(char, '\'' | '\u{2018}' | '\u{2019}')
}

fn is_word_letter(char: char) -> bool {
    is_letter(char) && !is_ideograph(char)
}

fn end_of_word(text: &str) -> usize {
    let mut apostrophes = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        if is_word_letter(char) {
            continue;
        }
        let goes_on = chars.peek().is_some_and(|(_, next)| is_word_letter(*next));
        if is_apostrophe(char) && goes_on && apostrophes == 0 {
            apostrophes = 1;
            continue;
        }
        return at;
    }
    text.len()
}

fn end_of_number(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let goes_on = || {
            chars
                .clone()
                .next()
                .is_some_and(|(_, next)| next.is_ascii_digit())
        };
        if char.is_ascii_digit() || (matches!(char, '.' | ',' | ':') && goes_on()) {
            continue;
        }
        return at;
    }
    text.len()
}

fn plain(raw: &str) -> String {
    let mut word: String = raw
        .chars()
        .take(MAX_WORD_CHARS)
        .flat_map(char::to_lowercase)
        .map(|char| if is_apostrophe(char) { '\'' } else { char })
        .collect();
    if word.contains('\'') {
        if let Some(cut) = CONTRACTIONS.iter().find_map(|end| word.strip_suffix(end)) {
            word.truncate(cut.len());
        }
        word.retain(|char| char != '\'');
    }
    word
}

#[cfg(test)]
mod tests;

//! An estimate for models whose tokenizer nobody outside has: by what a text is made of (words, numbers, signs, scripts), with
//! rates that were measured on three public tokenizers and rounded up. The README says how, and how far off it is.
//!
//! Everything is counted in thousandths of a token.

mod english;
mod scripts;

use crate::cut;
use english::is_english;
use scripts::{LATIN, rate};

/// Bytes that are looked at together to tell whether they are English.
const CHUNK: usize = 1024;

/// Tokens of the text.
pub(crate) fn tokens(text: &str) -> u64 {
    let sum: u64 = cut::pieces(text, CHUNK).map(|piece| chunk(piece.text)).sum();
    sum.div_ceil(1000)
}

fn chunk(text: &str) -> u64 {
    let english = is_english(text);
    let mut rest = text;
    let mut sum = 0;
    while let Some(first) = rest.chars().next() {
        let (cost, length) = if first.is_whitespace() {
            spaces(rest)
        } else if in_word(first) {
            word(rest, english)
        } else if first.is_ascii() {
            (1000, 1)
        } else {
            (rate(first), first.len_utf8())
        };
        sum += cost;
        // every branch takes at least its first character
        rest = rest.get(length..).unwrap_or_default();
    }
    sum
}

/// A run of white space: what it costs, and its length in bytes.
fn spaces(text: &str) -> (u64, usize) {
    let run = text.trim_start();
    let (next, length) = (run.chars().next(), text.len() - run.len());
    let run = text.get(..length).unwrap_or_default();
    let wide: u64 = run.chars().filter(|space| !space.is_ascii()).count() as u64 * 1600;
    if run == " " {
        // part of the word that follows, but of no number
        let own = next.is_none_or(|next| next.is_numeric());
        return (if own { 1000 } else { 0 }, length);
    }
    let changes = run
        .chars()
        .zip(run.chars().skip(1))
        .filter(|(a, b)| a != b)
        .count() as u64;
    let more = (run.chars().count() as u64).saturating_sub(2) * 1000 / 16;
    (wide + 1000 + changes * 700 + more, length)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Digits,
    Capitals,
    Letters,
}

fn in_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || (rate(letter) == LATIN && letter.is_alphabetic())
}

fn sort(letter: char) -> Sort {
    if letter.is_ascii_digit() {
        Sort::Digits
    } else if letter.is_uppercase() {
        Sort::Capitals
    } else {
        Sort::Letters
    }
}

/// A run of Latin letters and digits: what it costs, and its length in bytes.
fn word(text: &str, english: bool) -> (u64, usize) {
    let mut parts: Parts = Parts::default();
    let (mut length, mut letters, mut digits, mut accents) = (0, 0_u64, 0_u64, 0_u64);
    // of letters, between digits
    let (mut runs, mut in_run) = (0_u64, false);
    for letter in text.chars().take_while(|letter| in_word(*letter)) {
        length += letter.len_utf8();
        letters += 1;
        let is_digit = letter.is_ascii_digit();
        digits += u64::from(is_digit);
        runs += u64::from(!is_digit && !in_run);
        in_run = !is_digit;
        accents += u64::from(!letter.is_ascii());
        parts.add(sort(letter), english);
    }
    let (sum, count) = parts.end(english);
    // letters and digits in a jumble, as in Base64: no part of it is a word
    let jumble = count >= 3 && letters * 10 < count * 26;
    let sum = if jumble {
        (letters * 760 + digits * 240).max((runs + digits) * 1000)
    } else {
        sum
    };
    (sum + accents * 850, length)
}

/// Adds up the parts of a word while they are read: `parseHTTP2Frame` has five.
#[derive(Default)]
struct Parts {
    last: Option<(Sort, u64)>,
    sum: u64,
    count: u64,
}

impl Parts {
    fn add(&mut self, sort: Sort, english: bool) {
        self.last = Some(match self.last {
            Some((same, length)) if same == sort => (sort, length + 1),
            // a capital belongs to the small letters that follow it
            Some((Sort::Capitals, 1)) if sort == Sort::Letters => (Sort::Letters, 2),
            Some((Sort::Capitals, length)) if sort == Sort::Letters => {
                self.close(Sort::Capitals, length - 1, english);
                (Sort::Letters, 2)
            }
            Some((other, length)) => {
                self.close(other, length, english);
                (sort, 1)
            }
            None => (sort, 1),
        });
    }

    fn end(mut self, english: bool) -> (u64, u64) {
        if let Some((sort, length)) = self.last.take() {
            self.close(sort, length, english);
        }
        (self.sum, self.count)
    }

    fn close(&mut self, sort: Sort, length: u64, english: bool) {
        self.count += 1;
        self.sum += match (sort, length) {
            // many tokenizers make a token of each
            (Sort::Digits, _) => length * 1000,
            (Sort::Capitals, _) if length > 1 => (length * 650).max(1000),
            _ if english => 1030 + length.saturating_sub(7) * 250,
            _ => 1000 + length.clamp(3, 20).saturating_sub(3) * 440 + length.saturating_sub(20) * 600,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_grows_with_the_text() {
        for (text, least, most) in [
            ("", 0, 0),
            ("a", 1, 2),
            ("Hello, my friend.", 4, 8),
            ("parseHTTP2Frame", 4, 9),
            ("中文", 2, 4),
        ] {
            let tokens = tokens(text);
            assert!((least..=most).contains(&tokens), "{text:?}: {tokens}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_an_estimate(text in "\\PC{0,200}|[ \\t\\n\u{3000}Aa1.é]{0,3000}") {
            let all = tokens(&text);
            prop_assert!(all <= text.len() as u64 * 3 + 1);
            prop_assert!(all > 0 || text.is_empty() || text == " ");
        }
    }
}

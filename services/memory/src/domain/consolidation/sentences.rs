//! Sentences of what was said, and what their form says of their worth.

/// Words with which a sentence that is short greets or thanks, sorted.
const GREETINGS: [&str; 16] = [
    "bye", "cheers", "goodbye", "good", "great", "hello", "hey", "hi", "morning", "nice", "ok", "okay",
    "sure", "thank", "thanks", "welcome",
];
/// Words of a sentence that only greets.
const SHORT: usize = 6;
/// The longest sentence that is quoted; of a longer one, its beginning.
const LONGEST: usize = 300;

/// The sentences of a text. One ends with a line, with a sign that ends sentences in its script, or with a point that a
/// sentence seems to follow.
pub(super) fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    for line in text.lines() {
        let mut start = 0;
        let mut letters = line.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            let end = at + letter.len_utf8();
            let rest = line.get(end..).unwrap_or_default();
            let closed = letters
                .peek()
                .is_some_and(|(_, next)| is_end(*next) || matches!(next, '"' | '\u{201d}' | ')' | '\u{bb}'));
            if is_end(letter) && !closed && ends(letter, rest) {
                sentences.push(line.get(start..end).unwrap_or_default());
                start = end;
            }
        }
        sentences.push(line.get(start..).unwrap_or_default());
    }
    let told = |sentence: &&str| sentence.chars().any(char::is_alphanumeric);
    sentences
        .into_iter()
        .map(str::trim)
        .filter(told)
        .map(shortened)
        .collect()
}

fn is_end(letter: char) -> bool {
    matches!(
        letter,
        '.' | '!'
            | '?'
            | '\u{2026}'
            | '\u{3002}'
            | '\u{ff0e}'
            | '\u{ff01}'
            | '\u{ff1f}'
            | '\u{ff61}'
            | '\u{61f}'
            | '\u{6d4}'
            | '\u{964}'
    )
}

fn ends(letter: char, rest: &str) -> bool {
    if !matches!(letter, '.' | '!' | '?' | '\u{2026}') {
        return true;
    }
    let next = rest.trim_start();
    let apart = next.len() < rest.len() || rest.is_empty();
    // "approx. three", "3.5"
    apart && !(letter == '.' && next.starts_with(char::is_lowercase))
}

fn shortened(sentence: &str) -> &str {
    if sentence.len() <= LONGEST {
        return sentence;
    }
    let cut = sentence
        .get(..sentence.floor_char_boundary(LONGEST))
        .unwrap_or_default();
    let word = cut.rfind(char::is_whitespace).filter(|at| *at > LONGEST / 2);
    word.and_then(|at| cut.get(..at)).unwrap_or(cut).trim_end()
}

/// How much more, or less, a sentence of this form is worth than another that is as central.
pub(super) fn worth(sentence: &str) -> f64 {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let first = words.first().map(|word| {
        let letters = word.chars().filter(|letter| letter.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect::<String>()
    });
    let greets = first.is_some_and(|first| GREETINGS.contains(&first.as_str()));
    if words.len() <= SHORT && greets {
        return 0.05;
    }
    let mut worth = 1.0;
    if sentence.ends_with(['?', '\u{ff1f}', '\u{61f}']) {
        worth *= 0.3;
    }
    if words.len() < 3 && sentence.is_ascii() {
        worth *= 0.5;
    }
    if sentence.contains(|letter: char| letter.is_ascii_digit()) {
        worth *= 1.4;
    }
    // a capital that no beginning of a sentence explains
    let named = words.iter().skip(1).any(|word| {
        word.starts_with(char::is_uppercase) && word.chars().count() > 1 && !word.starts_with("I'")
    });
    if named {
        worth *= 1.3;
    }
    worth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_sentences_end() {
        let check = |text: &str, expected: &[&str]| assert_eq!(sentences(text), expected, "{text:?}");
        check("One. Two! Three? Four", &["One.", "Two!", "Three?", "Four"]);
        check(
            "It is approx. three, or 3.5 m. Really...  Yes",
            &["It is approx. three, or 3.5 m.", "Really...", "Yes"],
        );
        check("a line\nanother\n\n- ", &["a line", "another"]);
        check(
            "\u{4eca}\u{65e5}\u{306f}\u{3002}\u{96e8}\u{ff01}",
            &["\u{4eca}\u{65e5}\u{306f}\u{3002}", "\u{96e8}\u{ff01}"],
        );
        check(
            "He said \"no.\" Then he left.",
            &["He said \"no.\" Then he left."],
        );
        check("", &[]);
        check("... !!! \n ?", &[]);
        let long = "word ".repeat(100);
        assert!(sentences(&long)[0].len() <= LONGEST);
        let sign = "\u{1f600}a".repeat(200);
        assert!(sentences(&sign)[0].len() <= LONGEST);
    }

    #[test]
    fn statements_with_names_and_numbers_are_worth_more_than_questions_and_greetings() {
        let best = worth("The meeting with Paul is on 3 May.");
        let plain = worth("The sea was calm all day.");
        let asked = worth("How was the sea today?");
        let greeting = worth("Hello there!");
        assert!(best > plain && plain > asked && asked > greeting);
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_sentences(text in "\\PC*|[\\x00-\\u{2ff}.!?\\n\u{3002}]*") {
            for sentence in sentences(&text) {
                proptest::prop_assert!(text.contains(sentence) && sentence.len() <= LONGEST);
                worth(sentence);
            }
        }
    }
}

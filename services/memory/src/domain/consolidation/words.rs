//! From a fact to words that can be compared: exactly, because a sign, a tense or a negation makes another statement.

/// Signs around a word that are none of it.
const AROUND: [char; 20] = [
    '.', ',', ';', ':', '!', '"', '\'', '(', ')', '[', ']', '{', '}', '\u{2018}', '\u{2019}', '\u{201c}',
    '\u{201d}', '\u{2026}', '\u{ab}', '\u{bb}',
];
/// Words without which a statement says the same, sorted.
const FILLERS: [&str; 13] = [
    "a", "also", "an", "hey", "just", "oh", "ok", "okay", "please", "really", "the", "very", "well",
];
/// Spellings of one word.
const SPELLINGS: [(&str, &str); 8] = [
    ("color", "colour"),
    ("colors", "colours"),
    ("email", "e-mail"),
    ("favorite", "favourite"),
    ("favorites", "favourites"),
    ("gray", "grey"),
    ("neighbor", "neighbour"),
    ("neighborhood", "neighbourhood"),
];

/// A word of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// As it is compared: without the signs around it, and without a capital at its beginning.
    pub(super) text: String,
    /// Whether it begins with a capital.
    pub(super) capital: bool,
    /// Whether a sentence may end with it.
    pub(super) ends: bool,
}

/// The words in their order. Contractions with "not" and with forms of "be" are two words, and a question mark is one.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for raw in text.split_whitespace() {
        let asks = raw.contains(['?', '\u{ff1f}', '\u{61f}']);
        let bare = raw.trim_matches(|letter: char| {
            AROUND.contains(&letter) || matches!(letter, '?' | '\u{ff1f}' | '\u{61f}')
        });
        let ends = asks || raw.ends_with(['.', '!', ';', '\u{2026}', '\u{3002}', '\u{ff01}']);
        let before = words.len();
        if !bare
            .chars()
            .all(|letter| matches!(letter, '-' | '\u{2013}' | '\u{2014}'))
        {
            let capital = bare.chars().next().is_some_and(char::is_uppercase);
            let mut add = |text: String| {
                words.push(Word {
                    text,
                    capital,
                    ends: false,
                });
            };
            expanded(&folded(bare)).for_each(&mut add);
        }
        if asks {
            words.push(Word {
                text: "?".to_owned(),
                capital: false,
                ends: false,
            });
        }
        if words.len() > before
            && let Some(last) = words.last_mut()
        {
            last.ends = ends;
        } else if ends && let Some(last) = words.last_mut() {
            last.ends = true;
        }
    }
    words
}

/// Without a capital at its beginning: "US" stays what "us" is not.
fn folded(word: &str) -> String {
    let word = word.replace(['\u{2018}', '\u{2019}'], "'");
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(letters).collect()
}

/// The word, or the two that it stands for.
fn expanded(word: &str) -> impl Iterator<Item = String> {
    let spelled = |word: &str| {
        let known = SPELLINGS.iter().find(|(one, _)| *one == word);
        known.map_or(word, |(_, other)| *other).to_owned()
    };
    let (first, second) = match word {
        "can't" | "cannot" => ("can".to_owned(), Some("not")),
        "won't" => ("will".to_owned(), Some("not")),
        "i'm" => ("i".to_owned(), Some("am")),
        _ => match (word.strip_suffix("n't"), word.strip_suffix("'re")) {
            (Some(base), _) if !base.is_empty() => (base.to_owned(), Some("not")),
            (_, Some(base)) if !base.is_empty() => (base.to_owned(), Some("are")),
            _ => (spelled(word), None),
        },
    };
    std::iter::once(first).chain(second.map(str::to_owned))
}

pub(super) fn is_filler(word: &str) -> bool {
    FILLERS.binary_search(&word).is_ok()
}

/// What the words say, whatever its fillers: two texts with the same say the same.
pub(super) fn saying(words: &[Word]) -> String {
    let telling: Vec<&str> = words
        .iter()
        .map(|word| word.text.as_str())
        .filter(|word| !is_filler(word))
        .collect();
    if telling.is_empty() {
        // nothing but fillers
        return words
            .iter()
            .map(|word| word.text.as_str())
            .collect::<Vec<_>>()
            .join(" ");
    }
    telling.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(one: &str, other: &str, expected: bool) {
        assert_eq!(
            saying(&words(one)) == saying(&words(other)),
            expected,
            "{one:?} {other:?}"
        );
    }

    #[test]
    fn fillers_marks_and_spelling_make_no_difference() {
        same("I like the sea.", "i like the sea", true);
        same("I really like the sea!", "I like  the\nsea", true);
        same(
            "My favorite color is blue",
            "my favourite colour is \u{201c}blue\u{201d}.",
            true,
        );
        same("I don\u{2019}t eat meat", "I do not eat meat.", true);
        same("We can't come", "We cannot come", true);
        same("I'm a nurse", "I am a nurse", true);
    }

    #[test]
    fn what_changes_the_statement_does() {
        for (one, other) in [
            ("I like X", "I do not like X"),
            ("I like X", "I never like X"),
            ("The table has 3 seats", "The table has 4 seats"),
            ("The table has 3 seats", "The table has 3.5 seats"),
            ("It is 5 degrees", "It is -5 degrees"),
            ("I write C", "I write C++"),
            ("I write C#", "I write C++"),
            (
                "The train goes from Paris to Lyon",
                "The train goes from Lyon to Paris",
            ),
            ("Ann lent Bob money", "Bob lent Ann money"),
            ("I live in Rome", "I lived in Rome"),
            ("I like tea", "I like tea?"),
            ("Send it to us", "Send it to US"),
            ("My sister lives here", "Your sister lives here"),
            ("I can swim", "I can't swim"),
            ("Ich esse Fleisch", "Ich esse nicht Fleisch"),
            ("Paul is my boss", "Paul is my former boss"),
            ("Turn it on", "Turn it off"),
            ("a.b@x.org", "ab@x.org"),
            ("\u{1f600}", "\u{1f622}"),
            ("the", "a"),
        ] {
            same(one, other, false);
        }
    }

    #[test]
    fn tables_are_sorted() {
        assert!(FILLERS.is_sorted());
        assert!(SPELLINGS.is_sorted());
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_words(text in "\\PC*|[\\x00-\\u{2ff}\\u{2019}?.'-]*") {
            let words = words(&text);
            proptest::prop_assert!(words.iter().all(|word| !word.text.is_empty()));
            saying(&words);
        }
    }
}

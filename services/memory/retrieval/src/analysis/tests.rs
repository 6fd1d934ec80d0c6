use super::{Analyzer, words};

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let analyzer = Analyzer::new();
    let found: Vec<_> = words(text).filter_map(|word| analyzer.term(&word)).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn words_are_folded_stemmed_and_brought_to_their_base() {
    check("She BOUGHT two paintings", &["buy", "two", "paint"]);
    check("camping, camped; camps!", &["camp", "camp", "camp"]);
    check("children's photos", &["kid", "photo"]);
}

#[test]
fn contractions_and_possessives_are_cut() {
    check("Mary\u{2019}s dog didn't bark", &["mari", "dog", "bark"]);
    check("o'clock", &["oclock"]);
    check("the boys' school's roof", &["boy", "school", "roof"]);
}

#[test]
fn numbers_keep_what_holds_them_together() {
    check("1,200 euros at 7:30 on 3.5.", &["1,200", "euro", "7:30", "3.5"]);
    check("5k run", &["5", "k", "run"]);
}

#[test]
fn function_words_and_fillers_leave_nothing() {
    check("Oh, and what did you do then? Wow!", &[]);
    check("\u{1f600} --- ...", &[]);
    check("", &[]);
}

#[test]
fn scripts_without_spaces_give_a_word_a_sign() {
    let found: Vec<_> = words("\u{6771}\u{4eac}へ").collect();
    assert_eq!(found, ["\u{6771}", "\u{4eac}", "へ"]);
    let found: Vec<_> = words("Žižkov straße e\u{301}te\u{301}").collect();
    assert_eq!(found, ["žižkov", "straße", "e\u{301}te\u{301}"]);
}

#[test]
fn what_is_too_long_for_a_word_is_cut() {
    let found: Vec<_> = words(&"x".repeat(1000)).map(|word| word.len()).collect();
    assert_eq!(found, [40]);
}

proptest::proptest! {
    #[test]
    fn any_text_gives_words_that_are_not_empty(text in "\\PC*|[\\x00-\\u{2ff}\\u{2019}'.,:0-9]*") {
        for word in words(&text) {
            proptest::prop_assert!(!word.is_empty() && !word.contains('\''));
            Analyzer::new().term(&word);
        }
    }
}

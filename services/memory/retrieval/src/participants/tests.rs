use uuid::Uuid;

use super::Participants;
use crate::index::Index;
use crate::index::tests::item;

/// The first speaker said most, the last least.
fn index(speakers: &[&str]) -> Index {
    let mut index = Index::new();
    let mut number = 0;
    for (at, speaker) in speakers.iter().enumerate() {
        for _ in at..speakers.len() {
            number += 1;
            let mut item = item(number, 1, 1, "x");
            item.speaker = (*speaker).to_owned();
            index.put(item);
        }
    }
    index
}

#[track_caller]
fn check(speakers: &[&str], text: &str, target: Option<&str>, asked: &str) {
    let index = index(speakers);
    let participants = Participants::of(&index);
    let found = participants
        .target_of(text)
        .map(|number| index.speaker_name(number));
    assert_eq!(
        (found, participants.as_if_asked_by_them(text).as_str()),
        (target, asked),
        "{text}"
    );
}

#[test]
fn whom_a_question_is_about() {
    let both = ["Caroline", "Melanie"];
    check(
        &both,
        "When did Caroline move?",
        Some("Caroline"),
        "When did I move?",
    );
    check(
        &both,
        "what is melanie's dog called",
        Some("Melanie"),
        "what is my dog called",
    );
    check(&both, "Melanie\u{2019}s dog", Some("Melanie"), "my dog");
    check(
        &both,
        "What does Carolines mean?",
        None,
        "What does Carolines mean?",
    );
    check(
        &both,
        "What did Caroline give Melanie?",
        Some("Caroline"),
        "What did I give I?",
    );
    check(
        &both,
        "What do Caroline and Melanie like?",
        None,
        "What do I and I like?",
    );
    check(&both, "Caroline, Melanie or both?", None, "I, I or both?");
    check(&both, "Who sings?", None, "Who sings?");
}

#[test]
fn names_of_several_words_and_names_that_are_words() {
    let all = [
        "Mary Ann Smith",
        "John Smith",
        "John Doe",
        "Will",
        "bob@example.com",
    ];
    check(
        &all,
        "Is Mary Ann Smith's car red?",
        Some("Mary Ann Smith"),
        "Is my car red?",
    );
    check(&all, "Is Mary here?", Some("Mary Ann Smith"), "Is I here?");
    check(&all, "Did John Doe call?", Some("John Doe"), "Did I call?");
    check(&all, "Did John call?", None, "Did John call?");
    check(&all, "What will happen?", None, "What will happen?");
    check(&all, "What did Will say?", Some("Will"), "What did I say?");
    check(&all, "Where is Bob?", Some("bob@example.com"), "Where is I?");
    check(
        &["assistant", "default", ""],
        "What is the default?",
        None,
        "What is the default?",
    );
}

#[test]
fn who_is_gone_takes_part_no_more() {
    let mut index = index(&["Ann"]);
    index.remove(Uuid::from_u128(1));
    assert_eq!(Participants::of(&index).target_of("Ann?"), None);
}

#[test]
fn lists_are_sorted() {
    assert!(super::ROLES.is_sorted() && super::ALSO_WORDS.is_sorted());
}

proptest::proptest! {
    #[test]
    fn any_name_in_any_text(name in "\\PC{0,12}", text in "\\PC{0,40}") {
        let index = index(&[&name, "Ann"]);
        let participants = Participants::of(&index);
        participants.target_of(&format!("{text} {name} and Ann {text}"));
        participants.as_if_asked_by_them(&format!("{name}'s {text}"));
        participants.name_words().count();
    }
}

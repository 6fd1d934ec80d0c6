use super::*;

#[track_caller]
fn gives(text: &str, attribute: &str, value: &str) {
    let given = given(text).unwrap_or_else(|| panic!("{text:?} gives nothing"));
    assert_eq!(
        (
            given.attribute.replace('\n', " of ").as_str(),
            given.value.join(" ").as_str()
        ),
        (attribute, value)
    );
}

#[test]
fn the_forms_are_read() {
    gives("I live in Berlin.", "home of i", "berlin");
    gives("Ann Lee now lives in New York", "home of ann lee", "new york");
    gives("The user lives in Rome", "home of user", "rome");
    gives("My sister lives in Rome", "home of my sister", "rome");
    gives("I work for Siemens", "work of i", "siemens");
    gives("I am 41 years old", "age of i", "41");
    gives(
        "My phone number is +49 30 1234.",
        "phone number of i",
        "+49 30 1234",
    );
    gives("my sister's birthday is 3 May", "birthday of my sister", "3 may");
    gives(
        "Ann's favorite color is the dark blue!",
        "favourite colour of ann",
        "dark blue",
    );
    gives("The user's email is a@x.org", "e-mail of user", "a@x.org");
    gives("The deadline is Friday", "deadline of ", "friday");
    gives(
        "The deadline for the tax report is 3 May",
        "deadline of the tax report",
        "3 may",
    );
}

#[test]
fn what_says_more_less_or_something_else_gives_nothing() {
    for text in [
        "",
        " ",
        "?",
        "I live in",
        "I live in a house",
        "I live in Berlin and Rome",
        "I live in Berlin in summer",
        "I live in Berlin until May",
        "I do not live in Berlin",
        "I don't live in Berlin",
        "I lived in Berlin",
        "I might live in Berlin",
        "Do I live in Berlin?",
        "I live in Berlin?",
        "If I live in Berlin",
        "I live in Berlin. I like it.",
        "I live in Berlin; that is fine",
        "Bob said I live in Berlin",
        "My work phone number is 3",
        "My phone number was 3",
        "My phone number is not 3",
        "My phone number is 3 or 4",
        "My favourite colour is red/blue",
        "My favourite is red",
        "My friend is Paul",
        "My car is red",
        "I work for fun",
        "I work at night",
        "They live in Rome",
        "She lives in Rome",
        "Students live in Rome",
        "someone lives in Rome",
        "I am almost 4 years old",
        "I am four years old",
        "The deadline might be Friday",
        "The deadline is not Friday",
        "The deadline before Friday is fine",
        "\"I live in Berlin\"",
        "Ignore this: I live in Berlin",
        "My former address is Rome 3",
        "I live in Berlin when it rains",
    ] {
        assert_eq!(given(text), None, "{text:?}");
    }
    let long = format!("I live in Berlin {}", "x ".repeat(100));
    assert_eq!(given(&long), None);
}

#[test]
fn values_differ_when_neither_only_says_more() {
    let differ = |one: &str, other: &str| given(one).unwrap().differs(&given(other).unwrap());
    assert!(differ("I live in Berlin", "I live in Rome"));
    assert!(!differ("I live in Berlin", "I live in Berlin with Paul"));
    assert!(!differ("I live in Berlin", "i now live in Berlin."));
    assert!(!differ("I live in Berlin", "Ann lives in Rome"));
    assert!(!differ("My favourite colour is red", "My favourite food is rice"));
    assert!(!differ(
        "The deadline for A is Friday",
        "The deadline for B is Monday"
    ));
    assert!(!differ("I live in Berlin", "I work at Siemens"));
}

#[test]
fn tables_are_sorted() {
    assert!(OWNED.is_sorted());
    assert!(ELSE.is_sorted());
    assert!(NOW.is_sorted());
    assert!(SOMEBODY.is_sorted());
}

proptest::proptest! {
    #[test]
    fn any_text_is_read(text in "\\PC*|(i|my|the|user's|live|in|deadline|is|B|\\?|\\.| )*") {
        given(&text);
    }
}

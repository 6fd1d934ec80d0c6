use harombe_types::{EventId, MemoryId, Timestamp};
use uuid::Uuid;

use super::*;
use crate::domain::Owner;

/// Facts in the order in which they were saved: text, label, speaker and time.
fn facts(said: &[(&str, Label, &str, i64)]) -> Vec<Fact> {
    let memory = |(seq, (text, label, speaker, time)): (u128, &(&str, Label, &str, i64))| Memory {
        id: MemoryId::from(Uuid::from_u128(seq)),
        point: Uuid::from_u128(seq),
        seq: seq.try_into().unwrap(),
        rev: 1,
        owner: Owner {
            tenant: "acme".parse().unwrap(),
            subject: "ann".parse().unwrap(),
        },
        kind: MemoryKind::Fact,
        text: (*text).to_owned(),
        speaker: (*speaker).to_owned(),
        time: Timestamp::from_millis(*time),
        valid_to: None,
        superseded_by: None,
        agent: "default".to_owned(),
        session: None,
        run: None,
        ordinal: 0,
        label: *label,
        importance: 0.5,
        event: EventId::from(Uuid::nil()),
        audit_index: Some(1),
        saved_at: Timestamp::from_millis(*time),
        hidden_at: None,
        erased_at: None,
    };
    let read = (1..)
        .zip(said)
        .map(memory)
        .map(|memory| Fact::read(&memory).unwrap());
    read.collect()
}

/// Links as (old, by, why), by the place in the list from 1; whatever of the facts was there before, they are the same.
#[track_caller]
fn check(said: &[(&str, Label, &str, i64)], expected: &[(u128, u128, Why)]) {
    let all = facts(said);
    let number = |id: MemoryId| id.as_uuid().as_u128();
    let found = |links: Vec<Link>| -> Vec<_> {
        let mut found: Vec<_> = links
            .into_iter()
            .map(|link| (number(link.old), number(link.by), link.why))
            .collect();
        found.sort_by_key(|link| (link.0, link.1));
        found
    };
    assert_eq!(found(links(all.clone(), &[])), expected, "at once: {said:?}");
    let mut there: Vec<Fact> = Vec::new();
    let mut one_by_one = Vec::new();
    for fact in all {
        let new = links(vec![fact.clone()], &there);
        there.push(fact);
        there.retain(|fact| !new.iter().any(|link| link.old == fact.memory.id));
        one_by_one.extend(new);
    }
    assert_eq!(found(one_by_one), expected, "one by one: {said:?}");
}

const P: Label = Label::Person;
const M: Label = Label::Model;
const T: Label = Label::Tool;
const I: Label = Label::Imported;

#[test]
fn what_is_said_again_takes_the_place_of_what_was_said() {
    let same = ("I like the sea.", "i really like the sea");
    check(
        &[(same.0, P, "ann", 1), (same.1, P, "ann", 2)],
        &[(1, 2, Why::Merged)],
    );
    check(
        &[
            (same.0, P, "ann", 1),
            (same.1, P, "ann", 2),
            (same.0, P, "ann", 3),
        ],
        &[(1, 2, Why::Merged), (2, 3, Why::Merged)],
    );
    // the clock has gone back
    check(
        &[(same.0, P, "ann", 9), (same.1, P, "ann", 2)],
        &[(1, 2, Why::Merged)],
    );
    // somebody else, who is "I" as well
    check(&[(same.0, P, "ann", 1), (same.1, P, "bob", 2)], &[]);
}

#[test]
fn less_trusted_words_displace_none_that_are_trusted_more() {
    let same = "I like the sea";
    for (first, second) in [(P, M), (P, T), (P, I), (M, T), (M, I), (T, I)] {
        check(
            &[(same, first, "ann", 1), (same, second, "ann", 2)],
            &[(2, 1, Why::Merged)],
        );
        check(
            &[(same, second, "ann", 1), (same, first, "ann", 2)],
            &[(1, 2, Why::Merged)],
        );
        let (rome, oslo) = ("I live in Rome", "I live in Oslo");
        check(&[(rome, first, "ann", 1), (oslo, second, "ann", 2)], &[]);
        check(
            &[(rome, second, "ann", 1), (oslo, first, "ann", 2)],
            &[(1, 2, Why::Superseded)],
        );
    }
    // however far in the future it claims to be
    let far = 253_402_300_799_999;
    check(
        &[("My name is Ann", P, "ann", 1), ("My name is Eve", I, "ann", far)],
        &[],
    );
    check(
        &[("My name is Ann", P, "ann", 1), ("my name is Ann", I, "ann", far)],
        &[(2, 1, Why::Merged)],
    );
}

#[test]
fn another_value_takes_the_place_of_the_former() {
    check(
        &[
            ("I live in Rome", P, "ann", 1),
            ("I live in Oslo", P, "ann", 2),
            ("I now live in Lima", P, "ann", 3),
        ],
        &[(1, 2, Why::Superseded), (2, 3, Why::Superseded)],
    );
    // and back again: nothing that is over comes into it
    check(
        &[
            ("I live in Rome", P, "ann", 1),
            ("I live in Oslo", P, "ann", 2),
            ("I live in Rome.", P, "ann", 3),
        ],
        &[(1, 2, Why::Superseded), (2, 3, Why::Superseded)],
    );
    // both what a tool and what a model said give way to the person
    check(
        &[("I live in Rome", T, "ann", 1), ("I live in Oslo", P, "ann", 2)],
        &[(1, 2, Why::Superseded)],
    );
    // what comes from elsewhere goes by its time
    check(
        &[("I live in Rome", I, "ann", 5), ("I live in Oslo", I, "ann", 2)],
        &[(2, 1, Why::Superseded)],
    );
}

#[test]
fn what_only_looks_alike_stays() {
    for (one, other) in [
        ("I like X", "I do not like X"),
        ("I have 3 seats", "I have 4 seats"),
        ("I live in Rome", "I do not live in Oslo"),
        ("I live in Rome", "I lived in Oslo"),
        ("I live in Rome", "Bob lives in Oslo"),
        ("I live in Rome", "My sister lives in Oslo"),
        ("I live in Rome", "Do I live in Oslo?"),
        ("I live in Rome", "I might live in Oslo"),
        ("I live in Rome", "I live in Rome with Paul"),
        ("I live in Rome", "Forget the former. I live in Oslo."),
        ("The deadline for A is Friday", "The deadline for B is Monday"),
        ("My phone number is 1", "My work phone number is 2"),
        ("I love Rome", "I love Oslo"),
    ] {
        check(&[(one, P, "ann", 1), (other, P, "ann", 2)], &[]);
        check(&[(other, P, "ann", 1), (one, P, "ann", 2)], &[]);
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_said_a_place_is_taken_once_and_never_in_a_circle(
        said in proptest::collection::vec(("[iI] (live|like) (in )?(Rome|Oslo|sea)\\.?", 0_usize..4, 0_i64..5), 0..12)
    ) {
        let said: Vec<(String, Label, i64)> = said
            .into_iter()
            .map(|(text, label, time)| (text, [P, M, T, I][label], time))
            .collect();
        let borrowed: Vec<_> = said.iter().map(|(text, label, time)| (text.as_str(), *label, "ann", *time)).collect();
        let found = links(facts(&borrowed), &[]);
        let mut by = HashMap::new();
        for link in &found {
            proptest::prop_assert!(by.insert(link.old, link.by).is_none());
        }
        for start in by.keys() {
            let mut at = *start;
            let mut steps = 0;
            while let Some(next) = by.get(&at) {
                at = *next;
                steps += 1;
                proptest::prop_assert!(steps <= said.len());
            }
        }
        // what a person said gives way to a person only
        let label = |id: MemoryId| said[usize::try_from(id.as_uuid().as_u128()).unwrap() - 1].1;
        proptest::prop_assert!(found.iter().all(|link| label(link.by) <= label(link.old)));
    }
}

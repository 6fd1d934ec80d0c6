use uuid::Uuid;

use super::rank;
use crate::index::tests::item;
use crate::{DenseView, Filter, Index, Kind, Query, Ranked};

fn ask(index: &Index, text: &str) -> Vec<u128> {
    found(&rank(index, &question(text)))
}

fn question(text: &str) -> Query<'_> {
    Query {
        text,
        limit: 10,
        ..Query::default()
    }
}

fn found(ranked: &[Ranked]) -> Vec<u128> {
    ranked.iter().map(|hit| hit.id.as_u128()).collect()
}

fn small() -> Index {
    let mut index = Index::new();
    for (number, text) in (1u32..).zip([
        "I adopted a puppy last week",
        "What is its name?",
        "Rex! He likes the river",
        "My sister moved to Lisbon",
        "The oven is broken again",
    ]) {
        let mut item = item(u128::from(number), 1, number, text);
        item.speaker = if number % 2 == 1 { "Ann" } else { "Bob" }.to_owned();
        index.put(item);
    }
    index
}

#[test]
fn words_find_their_item_and_then_those_beside_it() {
    assert_eq!(ask(&small(), "Which puppy was adopted?").first(), Some(&1));
    let around = ask(&small(), "puppies");
    assert_eq!(around, [1, 3, 2], "a question comes after an answer");
}

#[test]
fn nothing_is_found_where_no_word_is() {
    assert_eq!(ask(&small(), "quantum chromodynamics"), [0u128; 0]);
    assert_eq!(ask(&small(), ""), [0u128; 0]);
    assert_eq!(ask(&Index::new(), "puppy"), [0u128; 0]);
}

#[test]
fn vectors_find_what_words_do_not_and_a_number_that_is_none_counts_for_nothing() {
    let index = small();
    let mut query = question("pet dog");
    let hits = vec![(1u128, 0.9f32), (3, 0.5), (4, f32::NAN), (2, 0.1), (77, 1.0)];
    let hits = hits
        .into_iter()
        .map(|(id, cosine)| (Uuid::from_u128(id), cosine))
        .collect();
    query.dense = vec![DenseView { hits }];
    let ranked = rank(&index, &query);
    assert_eq!(found(&ranked).get(..2), Some(&[1, 3][..]));
    assert!(ranked.iter().all(|hit| hit.score.is_finite()));
}

#[test]
fn the_parts_add_up_to_the_score() {
    let mut query = question("Ann's puppy");
    query.dense = vec![DenseView {
        hits: vec![(Uuid::from_u128(3), 0.4), (Uuid::from_u128(1), 0.2)],
    }];
    for hit in rank(&small(), &query) {
        let sum: f64 = hit.parts.iter().map(|part| part.contribution).sum();
        assert!((sum - hit.score).abs() < 1e-9, "{hit:?}");
    }
}

#[test]
fn a_question_that_names_a_speaker_prefers_their_words() {
    let mut index = Index::new();
    for (number, speaker) in [(1, "Ann"), (2, "Bob")] {
        let mut item = item(number, number, 1, "The garden needs water");
        item.speaker = speaker.to_owned();
        index.put(item);
    }
    assert_eq!(ask(&index, "What does Ann's garden need?"), [1, 2]);
    assert_eq!(ask(&index, "What does Bob say of the garden?"), [2, 1]);
}

#[test]
fn what_was_superseded_is_found_when_asked_for() {
    let mut index = small();
    let mut old = item(9, 0, 0, "The puppy is called Max");
    old.superseded = true;
    old.kind = Kind::Fact;
    index.put(old);
    assert!(!ask(&index, "puppy called").contains(&9));
    let mut query = question("puppy called");
    query.filter.include_superseded = true;
    assert_eq!(found(&rank(&index, &query)).first(), Some(&9));
}

#[test]
fn filters_narrow() {
    let mut index = Index::new();
    for number in 1..=4u32 {
        let mut item = item(u128::from(number), u128::from(number), 1, "the same puppy");
        item.time_ms = i64::from(number) * 1000;
        item.label = u8::try_from(number).unwrap();
        item.agent = format!("agent-{}", number % 2);
        item.kind = if number == 4 { Kind::Fact } else { Kind::Turn };
        index.put(item);
    }
    let check = |filter: Filter, expected: &[u128]| {
        let mut query = question("puppy");
        query.filter = filter;
        assert_eq!(found(&rank(&index, &query)), expected);
    };
    check(Filter::default(), &[1, 2, 3, 4]);
    check(
        Filter {
            agent: Some("agent-1".to_owned()),
            ..Filter::default()
        },
        &[1, 3],
    );
    check(
        Filter {
            agent: Some("nobody".to_owned()),
            ..Filter::default()
        },
        &[],
    );
    check(
        Filter {
            sessions: vec![Uuid::from_u128(2), Uuid::from_u128(3)],
            ..Filter::default()
        },
        &[2, 3],
    );
    check(
        Filter {
            kinds: vec![Kind::Fact],
            ..Filter::default()
        },
        &[4],
    );
    check(
        Filter {
            labels: vec![1, 4],
            ..Filter::default()
        },
        &[1, 4],
    );
    check(
        Filter {
            from_ms: Some(2000),
            until_ms: Some(4000),
            ..Filter::default()
        },
        &[2, 3],
    );
}

/// An item that no index has, and how near it is.
fn beyond(number: u128, text: &str) -> crate::Item {
    item(number, 0, 0, text)
}

fn hits(hits: &[(u128, f32)]) -> Vec<DenseView> {
    let hits = hits.iter().map(|(id, cosine)| (Uuid::from_u128(*id), *cosine));
    vec![DenseView { hits: hits.collect() }]
}

#[test]
fn what_the_index_does_not_hold_is_ranked_among_what_it_holds() {
    let mut query = question("Which puppy was adopted?");
    query.dense = hits(&[(50, 0.8), (51, 0.7), (1, 0.6), (5, 0.1)]);
    query.beyond = vec![
        beyond(50, "The puppy that we adopted"),
        beyond(51, "Nothing of it"),
    ];
    let ranked = rank(&small(), &query);
    assert_eq!(found(&ranked).first(), Some(&50));
    assert!(found(&ranked).contains(&51) && found(&ranked).contains(&1));
    for hit in &ranked {
        let sum: f64 = hit.parts.iter().map(|part| part.contribution).sum();
        assert!((sum - hit.score).abs() < 1e-9, "{hit:?}");
    }
    // what nobody looked up is as if it was not found
    query.beyond.clear();
    assert_eq!(found(&rank(&small(), &query)).first(), Some(&1));
}

#[test]
fn an_item_counts_the_same_within_the_index_and_beyond() {
    // neither stands beside anything, and the index knows how rare the words are
    let mut index = Index::new();
    for number in 1..=9 {
        index.put(item(
            number,
            0,
            0,
            &format!("the river has a stone, number{number}"),
        ));
    }
    let held = item(10, 0, 0, "I found a stone in the river last week");
    let outside = crate::Item {
        id: Uuid::from_u128(11),
        ..held.clone()
    };
    index.put(held);
    let mut query = question("When did Ann find the stone?");
    query.dense = hits(&[(10, 0.5), (11, 0.5)]);
    query.beyond = vec![outside];
    query.limit = 20;
    let without_repetition = crate::Ablation {
        without: &[crate::Feature::Repetition],
        neighbours: true,
    };
    let ranked = crate::rank_with(&index, &query, &without_repetition);
    assert_eq!(found(&ranked).get(..2), Some(&[10, 11][..]));
    assert_eq!(ranked[0].parts, ranked[1].parts);
    // and both together repeat each other
    let ranked = rank(&index, &query);
    assert!(
        ranked.iter().any(|hit| {
            hit.id.as_u128() == 11 && hit.parts.iter().any(|part| part.feature == "repetition")
        })
    );
}

#[test]
fn the_filter_holds_beyond_the_index() {
    let mut query = question("puppy");
    query.dense = hits(&[(50, 0.9), (51, 0.8), (52, 0.7)]);
    let (mut fact, mut old, mut other) = (
        beyond(50, "the puppy"),
        beyond(51, "a puppy"),
        beyond(52, "our puppy"),
    );
    fact.kind = Kind::Fact;
    old.superseded = true;
    other.agent = "other".to_owned();
    query.beyond = vec![fact, old, other];
    let check = |filter: Filter, expected: &[u128]| {
        let query = Query {
            filter,
            ..query.clone()
        };
        assert_eq!(found(&rank(&Index::new(), &query)), expected);
    };
    check(Filter::default(), &[50, 52]);
    let kinds = vec![Kind::Turn];
    check(
        Filter {
            kinds,
            ..Filter::default()
        },
        &[52],
    );
    let agent = Some("default".to_owned());
    check(
        Filter {
            agent,
            include_superseded: true,
            ..Filter::default()
        },
        &[50, 51],
    );
    let sessions = vec![Uuid::from_u128(1)];
    check(
        Filter {
            sessions,
            ..Filter::default()
        },
        &[],
    );
}

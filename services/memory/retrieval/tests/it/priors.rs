//! What decides between items that are nearly equal, and that it decides nothing else.

use harombe_retrieval::{Index, Query, Ranked, rank};

use crate::{DAY_MS, id, turn};

const NOW: i64 = 20_000 * DAY_MS;

fn ask(index: &Index, text: &str, limit: usize) -> Vec<Ranked> {
    let query = Query {
        text,
        now_ms: NOW,
        limit,
        ..Query::default()
    };
    rank(index, &query)
}

fn numbers(ranked: &[Ranked]) -> Vec<u128> {
    ranked.iter().map(|hit| hit.id.as_u128()).collect()
}

#[test]
fn what_is_newer_or_more_important_comes_first_among_equals() {
    let texts = [
        "The cellar is damp again",
        "Damp again in the cellar",
        "Again the damp cellar",
    ];
    let mut index = Index::new();
    for (number, text) in (1..).zip(texts) {
        let mut item = turn(
            number,
            number,
            "Ann",
            &format!("{text} {}", "xyz".repeat(number as usize)),
        );
        item.time_ms = NOW - (4 - i64::from(number)) * 100 * DAY_MS;
        index.put(item);
    }
    assert_eq!(numbers(&ask(&index, "damp cellar", 3)), [3, 2, 1]);

    let mut important = turn(1, 1, "Ann", "The cellar is damp again xyz");
    important.time_ms = NOW - 300 * DAY_MS;
    important.importance = 1.0;
    index.put(important);
    assert_eq!(numbers(&ask(&index, "damp cellar", 3)), [1, 3, 2]);
}

#[test]
fn where_all_are_equally_important_and_old_nothing_changes() {
    let order = |importance: f32, age: i64| {
        let mut index = Index::new();
        for number in 1..=30 {
            let text =
                "river stone ".repeat(1 + (number as usize * 7) % 5) + &"moss ".repeat(number as usize % 3);
            let mut item = turn(number, number, "Ann", &text);
            item.importance = importance;
            item.time_ms = NOW - age;
            index.put(item);
        }
        numbers(&ask(&index, "moss on a stone", 30))
    };
    let usual = order(0.5, 0);
    assert_eq!(order(1.0, 0), usual);
    assert_eq!(order(0.0, 400 * DAY_MS), usual);
    assert_eq!(order(f32::NAN, -5 * DAY_MS), usual);
}

#[test]
fn an_answer_does_not_say_the_same_thing_again() {
    let mut index = Index::new();
    for number in 1..=5 {
        index.put(turn(
            number,
            number,
            "Ann",
            "The spare key lies under the blue flowerpot",
        ));
    }
    index.put(turn(
        6,
        6,
        "Ann",
        "I lost my key in the garden on the way to the river",
    ));
    let ranked = ask(&index, "Where is the spare key?", 3);
    assert_eq!(numbers(&ranked).get(..2), Some(&[1, 6][..]));
    let last = ranked.last().unwrap();
    let part = last
        .parts
        .iter()
        .find(|part| part.feature == "repetition")
        .unwrap();
    assert!(
        (part.value - 1.0).abs() < 1e-9 && part.contribution < 0.0,
        "{part:?}"
    );
    let sum: f64 = last.parts.iter().map(|part| part.contribution).sum();
    assert!((sum - last.score).abs() < 1e-9);
}

#[test]
fn the_time_that_a_question_names_is_looked_at() {
    let mut index = Index::new();
    for number in 1..=3u32 {
        let mut item = turn(number, number, "Ann", "We talked about the roof");
        item.time_ms = NOW - i64::from(number) * DAY_MS;
        index.put(item);
    }
    assert_eq!(ask(&index, "What about the roof yesterday?", 1)[0].id, id(1));
    assert_eq!(
        ask(&index, "What about the roof the day before yesterday?", 1)[0].id,
        id(2)
    );
    assert_eq!(ask(&index, "What happened three days ago?", 3)[0].id, id(3));
}

//! What no caller can do: break it.

use harombe_retrieval::{DenseView, Filter, Index, Item, Kind, Query, rank};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{id, turn};

fn any_item() -> impl Strategy<Value = Item> {
    let text = prop_oneof!["\\PC{0,60}", "[a-e ?'’.0-9\\[\\]]{0,60}", Just(String::new())];
    let place = (0u128..6, proptest::option::of(0u128..3), any::<u32>());
    let rest = (any::<i64>(), any::<u8>(), any::<f32>(), any::<bool>(), 0u8..3);
    (text, "\\PC{0,8}|Ann|Ann Lee", place, rest).prop_map(|(text, speaker, place, rest)| Item {
        id: Uuid::from_u128(place.0),
        text,
        speaker,
        session: place.1.map(Uuid::from_u128),
        ordinal: place.2,
        time_ms: rest.0,
        kind: [Kind::Turn, Kind::Fact, Kind::Summary][usize::from(rest.4)],
        label: rest.1,
        agent: "a".to_owned(),
        importance: rest.2,
        superseded: rest.3,
    })
}

proptest! {
    #[test]
    fn any_memories_any_question(
        items in proptest::collection::vec(any_item(), 0..12),
        text in "\\PC{0,40}|[a-e ']{0,40}|When did Ann's a b go in May\\?",
        now_ms in any::<i64>(),
        limit in prop_oneof![0usize..5, Just(usize::MAX)],
        hits in proptest::collection::vec((0u128..16, any::<f32>()), 0..10),
        include_superseded in any::<bool>(),
        others in proptest::collection::vec(any_item(), 0..4),
    ) {
        let mut index = Index::new();
        for item in items {
            let _ = index.query_views(&item.text);
            index.put(item);
        }
        let hits = hits.into_iter().map(|(id, cosine)| (Uuid::from_u128(id), cosine)).collect();
        let query = Query {
            text: &text,
            now_ms,
            limit,
            filter: Filter { include_superseded, ..Filter::default() },
            dense: vec![DenseView { hits }],
            beyond: (8..).zip(others).map(|(id, item)| Item { id: Uuid::from_u128(id), ..item }).collect(),
        };
        let ranked = rank(&index, &query);
        prop_assert!(ranked.len() <= limit.min(index.len() + query.beyond.len()));
        prop_assert!(ranked.is_sorted_by(|left, right| left.score >= right.score));
        for hit in &ranked {
            prop_assert!(index.contains(hit.id) || query.beyond.iter().any(|item| item.id == hit.id));
            let sum: f64 = hit.parts.iter().map(|part| part.contribution).sum();
            prop_assert!((sum - hit.score).abs() <= 1e-6 * (1.0 + hit.score.abs()), "{hit:?}");
        }
        prop_assert_eq!(ranked, rank(&index, &query));
    }
}

#[test]
fn a_question_of_a_megabyte_is_cut() {
    let mut index = Index::new();
    index.put(turn(1, 1, "Ann", "The lighthouse keeper waved"));
    let endless = "lighthouse \u{1f3e0} ".repeat(60_000);
    let query = Query {
        text: &endless,
        limit: 5,
        ..Query::default()
    };
    assert_eq!(rank(&index, &query).len(), 1);
    let late = format!("{} lighthouse", "x ".repeat(8 * 1024));
    let query = Query {
        text: &late,
        limit: 5,
        ..Query::default()
    };
    assert_eq!(rank(&index, &query).len(), 0);
}

#[test]
fn memories_without_words_are_found_by_their_vectors() {
    let mut index = Index::new();
    for (number, text) in (1..).zip(["", "?!", "\u{1f600}\u{1f600}", "of the and"]) {
        index.put(turn(number, 1, "", text));
    }
    let hits = (1..=4).map(|number| (id(number), 0.1 * number as f32)).collect();
    let query = Query {
        text: "of?",
        limit: 2,
        dense: vec![DenseView { hits }],
        ..Query::default()
    };
    let found: Vec<_> = rank(&index, &query).into_iter().map(|hit| hit.id).collect();
    assert_eq!(found, [id(4), id(3)]);
}

#[test]
fn a_memory_of_a_megabyte_is_held_and_found_by_its_beginning() {
    let mut index = Index::new();
    index.put(turn(
        1,
        1,
        "Ann",
        &format!("lighthouse {}", "gravel ".repeat(150_000)),
    ));
    index.put(turn(2, 1, "Ann", "another thing"));
    let query = Query {
        text: "lighthouse",
        limit: 5,
        ..Query::default()
    };
    assert_eq!(rank(&index, &query)[0].id, id(1));
    assert!(index.bytes() > 1_000_000);
    index.remove(id(1));
    assert!(index.bytes() < 100_000, "{}", index.bytes());
}

#[test]
fn one_session_may_hold_very_many_memories() {
    let mut index = Index::new();
    // Backwards: each is put before all the others.
    for number in (0..20_000).rev() {
        index.put(turn(
            number,
            1,
            "Ann",
            if number == 777 {
                "a lighthouse"
            } else {
                "gravel road"
            },
        ));
    }
    let query = Query {
        text: "lighthouse",
        limit: 3,
        ..Query::default()
    };
    let ranked = rank(&index, &query);
    assert_eq!(ranked[0].id, id(777));
    // Those beside it, of which the one after it is nearer to what was said before.
    assert_eq!(ranked[1].id, id(778));
}

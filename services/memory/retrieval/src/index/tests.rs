use uuid::Uuid;

use super::{Index, NONE};
use crate::item::{Item, Kind};

pub(crate) fn item(number: u128, session: u128, ordinal: u32, text: &str) -> Item {
    Item {
        id: Uuid::from_u128(number),
        text: text.to_owned(),
        speaker: "Ann".to_owned(),
        session: (session > 0).then(|| Uuid::from_u128(session)),
        ordinal,
        time_ms: 0,
        kind: Kind::Turn,
        label: 1,
        agent: "default".to_owned(),
        importance: 0.5,
        superseded: false,
    }
}

/// The texts of a session in its order, found by walking its links from each item.
fn order(index: &Index, first: u128) -> Vec<String> {
    let mut slot = index.slot(Uuid::from_u128(first)).unwrap();
    while index.place(slot).unwrap().before != NONE {
        slot = index.place(slot).unwrap().before;
    }
    let mut texts = Vec::new();
    while let Some(record) = index.record(slot) {
        texts.push(record.text.to_string());
        slot = index.place(slot).unwrap().after;
    }
    texts
}

fn found(index: &Index, term: &str) -> Vec<(u128, u32)> {
    let Some(number) = index.term_number(term) else {
        return Vec::new();
    };
    let entries = index.entries(number).into_iter().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|(slot, count)| Some((index.record(slot)?.id.as_u128(), count)))
        .collect();
    found.sort_unstable();
    assert_eq!(found.len(), index.frequency(number) as usize, "{term}");
    found
}

#[test]
fn items_are_found_by_their_terms_and_stand_in_the_order_of_their_session() {
    let mut index = Index::new();
    index.put(item(3, 1, 3, "third tree tree"));
    index.put(item(1, 1, 1, "first tree"));
    index.put(item(2, 1, 2, "second house"));
    index.put(item(9, 2, 1, "elsewhere"));
    assert_eq!(found(&index, "tree"), [(1, 1), (3, 2)]);
    assert_eq!(
        order(&index, 3),
        ["first tree", "second house", "third tree tree"]
    );

    index.remove(Uuid::from_u128(2));
    assert_eq!(found(&index, "hous"), []);
    assert_eq!(order(&index, 1), ["first tree", "third tree tree"]);
    index.put(item(1, 1, 7, "now last"));
    assert_eq!(order(&index, 1), ["third tree tree", "now last"]);
    assert_eq!(found(&index, "tree"), [(3, 2)]);
    assert_eq!(index.len(), 3);
}

#[test]
fn an_index_that_forgot_most_of_its_items_is_packed_and_forgets_their_words() {
    let mut index = Index::new();
    for number in 1..=3000u32 {
        index.put(item(u128::from(number), 1, number, &format!("same word{number}")));
    }
    let before = index.bytes();
    for number in 1..=3000u32 {
        if number % 10 != 0 {
            index.remove(Uuid::from_u128(u128::from(number)));
        }
    }
    assert_eq!(index.len(), 300);
    assert!(
        index.places().len() < 300 + 1024 + 512,
        "{}",
        index.places().len()
    );
    assert!(index.bytes() < before / 2, "{before} {}", index.bytes());
    assert_eq!(found(&index, "same").len(), 300);
    assert!(index.term_number("word").is_some());
    let expected: Vec<_> = (1..=300)
        .map(|number| format!("same word{}", number * 10))
        .collect();
    assert_eq!(order(&index, 10), expected);
}

proptest::proptest! {
    #[test]
    fn any_order_of_putting_and_removing_ends_in_what_is_there(
        acts in proptest::collection::vec((1u128..12, 1u128..4, 0u32..5, proptest::option::of("[a-d]{1}x[a-d]{1}x( [a-d]{1}x[a-d]{1}x){0,4}")), 0..60),
    ) {
        let mut index = Index::new();
        let mut naive = std::collections::BTreeMap::new();
        for (id, session, ordinal, text) in acts {
            match text {
                Some(text) => {
                    index.put(item(id, session, ordinal, &text));
                    naive.insert(id, (session, ordinal, text));
                }
                None => {
                    index.remove(Uuid::from_u128(id));
                    naive.remove(&id);
                }
            }
        }
        proptest::prop_assert_eq!(index.len(), naive.len());
        for (id, (session, _, _)) in &naive {
            let mut expected: Vec<_> = naive.iter().filter(|(_, (other, _, _))| other == session).collect();
            expected.sort_by_key(|(id, (_, ordinal, _))| (*ordinal, **id));
            let expected: Vec<_> = expected.into_iter().map(|(_, (_, _, text))| text.clone()).collect();
            proptest::prop_assert_eq!(order(&index, *id), expected);
        }
        for term in ["axax", "axbx", "dxdx", "cxax"] {
            let expected: Vec<_> = naive
                .iter()
                .map(|(id, (_, _, text))| (*id, u32::try_from(text.split(' ').filter(|word| *word == term).count()).unwrap()))
                .filter(|(_, count)| *count > 0)
                .collect();
            proptest::prop_assert_eq!(found(&index, term), expected);
        }
    }
}

#[test]
fn what_was_put_first_goes_first() {
    let mut index = Index::new();
    assert_eq!(index.remove_oldest(), None);
    for number in 1..=4_000 {
        index.put(item(number, 0, 0, "tree"));
    }
    // one that was put again is among the newest, one that is gone among none
    index.put(item(1, 0, 0, "house"));
    index.remove(Uuid::from_u128(2));
    for number in (3..=4_000).chain([1]) {
        assert_eq!(index.remove_oldest(), Some(Uuid::from_u128(number)));
    }
    assert_eq!((index.remove_oldest(), index.len()), (None, 0));
    index.put(item(7, 0, 0, "tree"));
    assert_eq!(index.remove_oldest(), Some(Uuid::from_u128(7)));
}

#[test]
fn an_index_has_few_bytes_that_nothing_is_in() {
    let mut index = Index::new();
    for number in 1..=70_000 {
        index.put(item(number, 1 + number / 100, 1, "tree"));
        let (slots, places) = (index.slots.capacity(), index.places.capacity());
        let most = index.slots.len() * 9 / 8 + 32;
        assert!(slots <= most && places <= most, "{slots}, {places} for {number}");
    }
}

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

/// A word for each number: digits are words of their own.
fn letters(number: u32) -> String {
    let letter = |digit: u8| char::from(digit - b'0' + b'a');
    format!("{number:06}")
        .bytes()
        .map(letter)
        .chain("x".chars())
        .collect()
}

/// How often an index was packed while it was filled: only then it gets fewer slots.
struct Packings {
    slots: usize,
    times: usize,
}

impl Packings {
    fn look(&mut self, index: &Index) {
        self.times += usize::from(index.slots.len() < self.slots);
        self.slots = index.slots.len();
    }
}

/// Puts them one after the other into an index of so many bytes; answers with how many it held at least once it was full.
fn fill(most: usize, items: impl Iterator<Item = Item>) -> (usize, Packings) {
    let mut index = Index::new();
    let (mut least, mut packings) = (usize::MAX, Packings { slots: 0, times: 0 });
    for item in items {
        let id = item.id;
        index.put(item);
        if index.fit(most) {
            least = least.min(index.len());
        }
        packings.look(&index);
        assert!(index.bytes() <= most, "{} bytes of {most}", index.bytes());
        assert!(index.contains(id), "the newest is not there");
    }
    (least, packings)
}

#[test]
fn long_texts_of_words_that_nobody_else_has_leave_room_for_each_other() {
    let texts = (0..150u32).map(|number| {
        let words = (0..2_300).map(|word| format!("z{}z{}", letters(number), letters(word)));
        item(u128::from(number) + 1, 0, 0, &words.collect::<Vec<_>>().join(" "))
    });
    let (least, packings) = fill(8 << 20, texts);
    assert!((15..150).contains(&least), "{least} were there");
    assert!(packings.times < 75, "packed {} times", packings.times);
}

#[test]
fn names_that_nobody_else_has_leave_room_for_each_other() {
    let texts = (0..25_000u32).map(|number| Item {
        speaker: format!("{number:0>256}"),
        ..item(u128::from(number) + 1, 0, 0, "tree")
    });
    let (least, packings) = fill(4 << 20, texts);
    assert!((2_000..25_000).contains(&least), "{least} were there");
    assert!(packings.times < 100, "packed {} times", packings.times);
}

#[test]
fn what_was_put_again_and_again_lets_nothing_else_go() {
    let mut index = Index::new();
    let most = 4 << 20;
    for round in 0..50u32 {
        for number in 1..=20u32 {
            let words = (0..300).map(|word| letters((round * 20 + number - 1) * 300 + word));
            let words = words.collect::<Vec<_>>().join(" ");
            index.put(item(u128::from(number), 0, 0, &words));
            assert!(!index.fit(most), "some went in round {round}");
        }
    }
    assert_eq!(index.len(), 20);
}

#[test]
fn names_of_items_that_stay_are_known_after_room_was_made() {
    let mut index = Index::new();
    for number in 1..=4_000u32 {
        index.put(Item {
            speaker: format!("Speaker{number}"),
            agent: format!("agent{number}"),
            ..item(u128::from(number), 0, 0, &format!("tree word{number}"))
        });
    }
    assert!(index.fit(index.bytes() / 2));
    let gone = 4_000 - u32::try_from(index.len()).unwrap();
    assert!((1_000..3_900).contains(&gone), "{gone} are gone");
    assert_eq!(index.speakers().count(), index.len());
    for number in gone + 1..=4_000 {
        let slot = index.slot(Uuid::from_u128(u128::from(number))).unwrap();
        let record = index.record(slot).unwrap();
        assert_eq!(index.speaker_name(record.speaker), format!("Speaker{number}"));
        assert_eq!(index.agent_number(&format!("agent{number}")), Some(record.agent));
        assert_eq!(found(&index, &number.to_string()), [(u128::from(number), 1)]);
    }
    assert_eq!(index.agent_number("agent1"), None);
}

#[test]
fn only_what_was_said_stands_beside_what_was_said() {
    let mut index = Index::new();
    index.put(item(1, 1, 1, "first"));
    index.put(item(2, 1, 2, "second"));
    for (number, kind) in [(3, Kind::Summary), (4, Kind::Fact)] {
        let ordinal = 0;
        index.put(Item {
            kind,
            ..item(number, 1, ordinal, "of both")
        });
    }
    assert_eq!(order(&index, 2), ["first", "second"]);
    for number in [3, 4] {
        let slot = index.slot(Uuid::from_u128(number)).unwrap();
        let place = index.place(slot).unwrap();
        assert_eq!((place.before, place.after), (NONE, NONE));
        assert_eq!(index.record(slot).unwrap().session, Some(Uuid::from_u128(1)));
    }
}

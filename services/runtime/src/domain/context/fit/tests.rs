use harombe_proto::memory::v1::{Author, Message as Stored, Provenance, TrustLabel};
use proptest::prelude::*;

use super::*;

const BOUNDARY: &str = "9f2c4e7a1b03";

fn agent(context: u32) -> Agent {
    crate::agents::tests::agent("You are a careful assistant.", "llama", context)
}

fn turn(text: &str) -> Turn {
    let said = |author: Author, text: &str| Stored {
        author: author.into(),
        text: text.to_owned(),
        ..Stored::default()
    };
    Turn {
        run_id: "r".to_owned(),
        messages: vec![said(Author::User, text), said(Author::Assistant, "Yes.")],
        claimed: false,
    }
}

fn memory(id: &str, text: &str) -> Memory {
    Memory {
        memory_id: id.to_owned(),
        text: text.to_owned(),
        provenance: Some(Provenance {
            label: TrustLabel::Person.into(),
            ..Provenance::default()
        }),
        ..Memory::default()
    }
}

fn built(context: u32, past: &Past) -> Built {
    let agent = agent(context);
    let fixed = fixed(&agent, &agent.prompt, "And now?");
    fit(&agent, fixed, past, "", ("And now?", BOUNDARY))
}

fn left_out(built: &Built) -> Vec<(&str, u32)> {
    built
        .event
        .left_out
        .iter()
        .map(|left| (left.what.as_str(), left.count))
        .collect()
}

#[test]
fn all_of_it_is_shown_where_there_is_room() {
    let past = Past {
        turns: vec![turn("one"), turn("two")],
        turns_left_out: 3,
        summaries: vec![
            memory("s", "They spoke of boats."),
            memory("r", "Of trains before."),
        ],
        recalled: vec![memory("a", "I live in Kiel."), memory("b", "North first.")],
        ..Past::default()
    };
    let Built {
        messages,
        event,
        outside,
    } = built(4000, &past);
    assert_eq!(messages.len(), 6);
    let Message::Recalled(shown) = &messages[4] else {
        panic!("{messages:?}")
    };
    let places: Vec<_> = ["trains", "boats", "Kiel", "North"]
        .map(|words| shown.find(words).unwrap())
        .into();
    assert!(places.is_sorted(), "{shown}");
    assert_eq!(messages[5], Message::User("And now?".to_owned()));
    let recalled: Vec<_> = event
        .recalled
        .iter()
        .map(|memory| memory.memory_id.as_str())
        .collect();
    assert_eq!((event.turns, event.truncated, event.summarised), (3, true, true));
    assert_eq!(
        (recalled, event.counted_by.as_str(), outside),
        (vec!["a", "b"], "estimate", false)
    );
    assert_eq!(
        event
            .left_out
            .iter()
            .map(|left| (left.what.as_str(), left.count))
            .collect::<Vec<_>>(),
        [("turns", 3)]
    );
}

#[test]
fn only_the_newest_whole_turns_are_shown_and_the_rest_is_told() {
    let long = "word ".repeat(300);
    let past = Past {
        turns: vec![turn("short"), turn(&long), turn("newest")],
        ..Past::default()
    };
    let built = built(400, &past);
    let first = &built.messages[0];
    assert_eq!(
        first,
        &Message::User("newest".to_owned()),
        "none is shown without those after it"
    );
    assert_eq!((built.event.turns, left_out(&built)), (2, vec![("turns", 2)]));
    assert!(built.event.left_out[0].tokens > 300);
}

#[test]
fn memories_take_a_quarter_at_most_and_the_summary_an_eighth() {
    let long = "A boat in the harbour. ".repeat(60);
    let past = Past {
        summaries: vec![memory("s", "Boats."), memory("r", &long), memory("q", "Trains.")],
        turns_left_out: 1,
        recalled: vec![
            memory("a", "I live in Kiel."),
            memory("b", &long),
            memory("c", "North first."),
        ],
        ..Past::default()
    };
    let built = built(1500, &past);
    assert_eq!(left_out(&built), [("turns", 1), ("summary", 1), ("memories", 1)]);
    assert!(built.event.summarised);
    let Message::Recalled(shown) = &built.messages[0] else {
        panic!("{:?}", built.messages)
    };
    assert!(shown.find("Trains") < shown.find("Boats"), "{shown}");
    let recalled: Vec<_> = built
        .event
        .recalled
        .iter()
        .map(|memory| memory.memory_id.as_str())
        .collect();
    assert_eq!(recalled, ["a", "c"], "a shorter one still fits");
}

#[test]
fn what_came_from_outside_is_known() {
    let tool = Past {
        recalled: vec![Memory {
            provenance: None,
            ..memory("a", "x")
        }],
        ..Past::default()
    };
    let claimed = Past {
        turns: vec![Turn {
            claimed: true,
            ..turn("x")
        }],
        ..Past::default()
    };
    let not_shown = Past {
        turns_left_out: 1,
        saw_outside: true,
        ..Past::default()
    };
    for (past, expected) in [
        (tool, true),
        (claimed, true),
        (not_shown, true),
        (Past::default(), false),
    ] {
        assert_eq!(built(4000, &past).outside, expected);
    }
}

#[test]
fn why_turns_are_left_out_is_what_decided_it() {
    let reason = |context, turns: &[&str]| {
        let past = Past {
            turns: turns.iter().map(|text| turn(text)).collect(),
            turns_left_out: 1,
            max_bytes: 64_000,
            ..Past::default()
        };
        built(context, &past).event.left_out[0].reason.clone()
    };
    let by_bytes = reason(4000, &["one", "two"]);
    assert!(by_bytes.contains("1000 turns of 64000 bytes"), "{by_bytes}");
    let by_tokens = reason(400, &[&"word ".repeat(600), "newest"]);
    assert!(by_tokens.contains("a context of 400 tokens"), "{by_tokens}");
}

#[test]
fn what_was_missing_is_told() {
    let past = Past {
        degraded: true,
        ..Past::default()
    };
    assert_eq!(built(4000, &past).event.recall_fault, DEGRADED);
    let agent = agent(4000);
    let built = fit(&agent, 10, &past, "memory could not recall", ("x", BOUNDARY));
    assert_eq!(built.event.recall_fault, "memory could not recall");
}

proptest! {
    #[test]
    fn it_is_never_more_than_the_context(
        context in 60_u32..3000,
        turns in proptest::collection::vec("[a-z é中🎉\\n]{0,400}", 0..8),
        memories in proptest::collection::vec("[a-z é中🎉\\n]{0,400}", 0..8),
        summary in proptest::collection::vec("[a-z ]{0,400}", 0..4),
    ) {
        let past = Past {
            turns: turns.iter().map(|text| turn(text)).collect(),
            recalled: memories.iter().map(|text| memory("m", text)).collect(),
            summaries: summary.iter().map(|text| memory("s", text)).collect(),
            ..Past::default()
        };
        let agent = agent(context);
        let fixed = fixed(&agent, &agent.prompt, "And now?");
        let Some(room) = room(&agent, fixed) else { return Ok(()) };
        let built = fit(&agent, fixed, &past, "", ("And now?", BOUNDARY));
        let sum: u64 = built.messages.iter().map(|message| message.tokens(&agent.counter)).sum();
        let sum = sum + framed(&agent.counter, &agent.prompt);
        prop_assert_eq!(u64::from(built.event.tokens), sum);
        prop_assert!(sum <= u64::from(context), "{} of {}", sum, context);
        let recalled: u64 = built.event.recalled.iter().map(|memory| u64::from(memory.tokens)).sum();
        prop_assert!(recalled <= room / RECALLED);
        let shown = built.event.turns as usize - 1;
        let count = |what: &str| built.event.left_out.iter().find(|left| left.what == what).map_or(0, |left| left.count as usize);
        prop_assert_eq!(shown + count("turns"), past.turns.len());
        prop_assert_eq!(built.event.recalled.len() + count("memories"), past.recalled.len());
    }
}

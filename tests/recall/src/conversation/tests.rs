use serde_json::json;

use super::{Conversation, named};

#[test]
fn evidence_is_every_turn_that_is_named() {
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(named(text).collect::<Vec<_>>(), expected, "{text}");
    };
    check("D1:3", &["D1:3"]);
    check("D8:6; D9:17", &["D8:6", "D9:17"]);
    check("D8:6,D9:17 D10:2", &["D8:6", "D9:17", "D10:2"]);
    check("D", &[]);
    check("D:11:26", &[]);
    check("DD2:4", &["D2:4"]);
    check("D1:x D1: 2 1:2 D12:34:5", &["D12:34"]);
    check("", &[]);
}

#[test]
fn a_file_is_read_as_it_is_measured() {
    let file = json!({
        "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "Yes."}],
        "session_2_date_time": "11:59 pm on 31 December, 2022",
        "session_10_date_time": "12:05 am on 1 January, 2023",
        "session_10": [],
        "session_1_date_time": "1:56 pm on 8 May, 2022",
        "session_1": [
            {"speaker": "Al", "dia_id": "D1:1", "text": " A river? ", "blip_caption": "a boat"},
            {"speaker": "Bo", "dia_id": "D1:2", "text": "No", "blip_caption": ""},
        ],
        "events_session_1": {"Al": []},
        "qa": [
            {"question": "q1", "category": 1, "evidence": ["D1:1; D2:1", "D1:1", "D7:7"]},
            {"question": "q2", "category": 4, "evidence": ["D9:9"]},
            {"question": "q3", "category": 5, "evidence": ["D1:1"]},
            {"question": "q4", "category": 2, "evidence": []},
            {"question": "q5", "category": 3},
        ],
    });
    let read = Conversation::read("x", 0, &file).unwrap();
    let turns: Vec<_> = read
        .turns
        .iter()
        .map(|turn| {
            (
                turn.speaker.as_str(),
                turn.text.as_str(),
                turn.session,
                turn.ordinal,
                turn.time_ms,
            )
        })
        .collect();
    let expected = [
        ("Al", "A river? [a boat]", 1, 1, 1_652_018_160_000),
        ("Bo", "No", 1, 2, 1_652_018_161_000),
        ("Bo", "Yes.", 2, 1, 1_672_531_140_000),
    ];
    assert_eq!(turns, expected);
    let questions: Vec<_> = read
        .questions
        .iter()
        .map(|question| {
            (
                question.text.as_str(),
                question.category,
                question.evidence.iter().copied().collect::<Vec<_>>(),
            )
        })
        .collect();
    assert_eq!(questions, [("q1", 1, vec![0, 2])]);
}

#[test]
fn what_the_service_would_refuse_is_made_fit() {
    let file = json!({
        "session_1_date_time": "1:56 pm on 8 May, 2022",
        "session_1": [
            {"speaker": "A\u{7}l\n", "dia_id": "D1:1", "text": "a\u{0}b\r\nc\td", "blip_caption": "\u{1b}[31m"},
            {"speaker": "é".repeat(200), "dia_id": "D1:2", "text": "é".repeat(10_000)},
            {"dia_id": "D1:3", "text": " \n "},
        ],
        "qa": [
            {"question": " \t", "category": 1, "evidence": ["D1:1"]},
            {"category": 2, "evidence": ["D1:2"]},
            {"question": "", "category": 2, "evidence": ["D7:7"]},
            {"question": "é".repeat(5_000), "category": 4, "evidence": ["D1:3"]},
        ],
    });
    let read = Conversation::read("x", 0, &file).unwrap();
    let [first, second, third] = &read.turns[..] else {
        panic!("{} turns", read.turns.len());
    };
    assert_eq!(first.text, "a\u{fffd}b\nc\td [\u{fffd}[31m]");
    assert_eq!(first.speaker, "A\u{fffd}l\u{fffd}");
    assert_eq!((second.text.len(), second.speaker.len()), (16 * 1024, 256));
    assert_eq!((third.text.as_str(), third.speaker.as_str()), ("", ""));
    let unasked: Vec<_> = read.unasked.iter().map(|question| question.category).collect();
    assert_eq!(unasked, [1, 2]);
    assert_eq!(
        (read.questions.len(), read.questions[0].text.len()),
        (1, 8 * 1024)
    );
}

#[test]
fn turns_stay_on_the_day_of_their_session() {
    assert_eq!(super::after(86_399_000, 5), 86_399_999);
    assert_eq!(super::after(0, 5), 5000);
}

#[test]
fn what_is_missing_is_named() {
    let check = |file: serde_json::Value, expected: &str| {
        let error = Conversation::read("x", 0, &file).err().unwrap().to_string();
        assert_eq!(error, expected);
    };
    check(
        json!({"session_1": [], "qa": []}),
        "session_1_date_time is missing",
    );
    check(
        json!({"session_1": [], "session_1_date_time": "yesterday", "qa": []}),
        "session_1_date_time is no date: \"yesterday\"",
    );
    check(json!({}), "qa is missing");
}

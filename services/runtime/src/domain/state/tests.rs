use harombe_proto::types::v1::{ApprovalRequired, RunEvent, RunStarted, ToolFinished};
use harombe_types::SystemClock;

use super::*;

fn call(tool: &str) -> Call {
    Call {
        id: CallId::generate(&SystemClock),
        provider_id: format!("provider-{tool}"),
        tool: tool.into(),
        arguments: "{}".into(),
    }
}

fn state(state: &State) -> JournalEntry {
    JournalEntry {
        state: state.encode().into(),
        ..JournalEntry::default()
    }
}

fn event(event: Event) -> JournalEntry {
    let time = Some(Timestamp::from_millis(1_234_567).into());
    let event = RunEvent {
        time,
        event: Some(event),
        ..RunEvent::default()
    };
    JournalEntry {
        event: Some(event),
        ..JournalEntry::default()
    }
}

fn finished(call: &Call, result: &str) -> JournalEntry {
    let call_id = call.id.to_string();
    event(Event::ToolFinished(ToolFinished {
        call_id,
        result: result.into(),
        ..ToolFinished::default()
    }))
}

#[test]
fn a_run_stopped_between_two_results_goes_on_with_the_call_that_has_none() {
    let (first, second) = (call("a"), call("b"));
    let usage = Usage { input: 10, output: 5 };
    let approval = ApprovalRequired {
        call_id: second.id.to_string(),
        ..ApprovalRequired::default()
    };
    let progress = Progress::read(&[
        event(Event::RunStarted(RunStarted::default())),
        state(&State::response(
            "let me see",
            &[first.clone(), second.clone()],
            usage,
            false,
        )),
        state(&State::Dispatched { call: first.id }),
        event(Event::ApprovalRequired(approval)),
        finished(&first, "42"),
    ])
    .unwrap();
    assert_eq!(progress.began, Some(Timestamp::from_millis(1_234_567)));
    assert_eq!((progress.steps, progress.usage), (1, usage));
    let expected = OpenCall {
        call: second.clone(),
        approval_shown: true,
        decision_shown: false,
    };
    assert_eq!(progress.open, [expected]);

    let mut progress = progress;
    progress.answer(second.id, "43".into());
    progress.close_answered_calls();
    let texts = progress.said.iter().map(|message| match message {
        Message::User(text)
        | Message::Recalled(text)
        | Message::Assistant { text, .. }
        | Message::Tool { text, .. } => text.as_str(),
    });
    assert_eq!(texts.collect::<Vec<_>>(), ["let me see", "42", "43"]);
    assert!(progress.open.is_empty());
}

#[test]
fn a_call_that_was_handed_over_stays_open_until_it_has_a_result() {
    let only = call("a");
    let progress = Progress::read(&[
        state(&State::response(
            "",
            std::slice::from_ref(&only),
            Usage::default(),
            false,
        )),
        state(&State::Dispatched { call: only.id }),
    ])
    .unwrap();
    assert_eq!(progress.open, [OpenCall::new(only)]);
}

#[test]
fn an_answered_step_is_closed_by_the_next() {
    let (first, second) = (call("a"), call("b"));
    let progress = Progress::read(&[
        state(&State::response(
            "one",
            std::slice::from_ref(&first),
            Usage::default(),
            false,
        )),
        finished(&first, "1"),
        state(&State::response(
            "two",
            std::slice::from_ref(&second),
            Usage::default(),
            false,
        )),
    ])
    .unwrap();
    assert_eq!(progress.said.len(), 3);
    assert_eq!(progress.open, [OpenCall::new(second)]);
}

#[test]
fn what_a_node_before_was_shown_is_known() {
    let response = |outside| state(&State::response("x", &[], Usage::default(), outside));
    let unsaid = JournalEntry {
        state: r#"{"step":"response","text":"x","calls":[],"input":1,"output":1}"#.into(),
        ..JournalEntry::default()
    };
    for (entries, expected) in [
        (vec![], false),
        (vec![response(false)], false),
        (vec![response(true), response(false)], true),
        (vec![response(false), unsaid], true),
    ] {
        assert_eq!(Progress::read(&entries).unwrap().outside, expected, "{entries:?}");
    }
}

#[test]
fn calls_without_an_answer_get_one_before_the_turn_is_kept() {
    let only = call("a");
    let mut progress = Progress::default();
    progress.respond("x".into(), vec![only.clone()], Usage::default());
    progress.close_calls("the run was cancelled");
    assert_eq!(
        progress.said[1],
        Message::Tool {
            call: only.id,
            provider_id: only.provider_id,
            text: "the run was cancelled".into()
        }
    );
}

#[test]
fn foreign_state_is_told_with_its_place() {
    let entry = JournalEntry {
        cursor: 7,
        state: "x".into(),
        ..JournalEntry::default()
    };
    let error = Progress::read(&[entry]).unwrap_err();
    assert!(error.to_string().contains("entry 7"));
}

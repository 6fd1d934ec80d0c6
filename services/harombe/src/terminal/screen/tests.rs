use harombe_proto::types::v1::{RunFailed, TextDelta, TextFinished, ToolCallProposed};

use super::*;

fn shown(events: Vec<Event>) -> String {
    let mut out = Vec::new();
    let mut screen = Screen::new(&mut out, Style::Plain, None);
    for event in events {
        screen
            .event(&RunEvent {
                event: Some(event),
                ..RunEvent::default()
            })
            .unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn output(offset: u64, data: &'static str) -> Event {
    Event::ToolOutput(ToolOutput {
        call_id: "c".into(),
        stream: OutputStream::Stdout as i32,
        offset,
        data: data.into(),
    })
}

#[test]
fn text_that_comes_twice_is_shown_once() {
    let text = shown(vec![
        Event::TextDelta(TextDelta {
            offset: 0,
            text: "one ".into(),
        }),
        Event::TextDelta(TextDelta {
            offset: 0,
            text: "one two ".into(),
        }),
        Event::TextFinished(TextFinished {
            text: "one two three".into(),
        }),
        Event::TextFinished(TextFinished { text: "next".into() }),
    ]);
    assert_eq!(text, "▸ model      one two three\n\n▸ model      next\n");
}

#[test]
fn another_attempt_stands_below_the_one_that_broke_off() {
    let delta = |offset: u64, text: &str| {
        let text = text.to_owned();
        Event::TextDelta(TextDelta { offset, text })
    };
    let finished = |text: &str| Event::TextFinished(TextFinished { text: text.into() });
    let text = shown(vec![
        delta(0, "Good morning, all"),
        delta(0, "Good "),
        delta(5, "evening"),
        delta(12, "."),
        finished("Good evening."),
        finished("next"),
    ]);
    let expected = "▸ model      Good morning, all\n             the answer broke off and begins anew\n\
                    ▸ model      Good evening.\n\n▸ model      next\n";
    assert_eq!(text, expected);
}

#[test]
fn a_failure_cannot_drive_the_terminal() {
    let text = shown(vec![Event::RunFailed(RunFailed {
        reason: "UPSTREAM_FAILED".into(),
        message: "no\u{1b}[2J\u{202e}".into(),
    })]);
    assert!(
        text.contains("no\u{fffd}[2J\u{fffd}") && !text.contains(['\u{1b}', '\u{202e}']),
        "{text:?}"
    );
}

#[test]
fn output_that_comes_twice_is_shown_once_and_keeps_its_margin() {
    let text = shown(vec![
        output(0, "a\nb"),
        output(0, "a\nb"),
        output(3, "c\n"),
        output(5, "d"),
    ]);
    assert_eq!(text, "             │ a\n             │ bc\n             │ d");
}

#[test]
fn output_that_did_not_come_is_shown_at_the_end() {
    let finished = |result: &str| {
        Event::ToolFinished(ToolFinished {
            call_id: "c".into(),
            outcome: ToolOutcome::Ok as i32,
            exit_code: Some(0),
            result: result.into(),
            ..ToolFinished::default()
        })
    };
    let margin = " ".repeat(13);
    let end = format!("{margin}finished · exit 0 · 0 ms\n");
    let whole = shown(vec![output(0, "a\n"), finished("a\n")]);
    assert_eq!(whole, format!("{margin}│ a\n{end}"));
    let none = shown(vec![finished("a\n")]);
    assert_eq!(none, whole);
    let some = shown(vec![output(0, "a\n"), output(4, "c\n"), finished("a\nb\nc\n")]);
    assert_eq!(
        some,
        format!(
            "{margin}│ a\n{margin}… 2 bytes of the output did not get here\n{margin}│ c\n{margin}not all of the output got here \
             as it was printed; this is what the model is told of it:\n{margin}│ a\n{margin}│ b\n{margin}│ c\n{end}"
        )
    );
}

#[test]
fn what_is_approved_cannot_drive_the_terminal() {
    let arguments = r#"{"language":"python","code":"print('\u001b[2J\u202e')\u0007"}"#.to_owned();
    let text = shown(vec![Event::ToolCallProposed(ToolCallProposed {
        call_id: "c".into(),
        tool: "code_execute".into(),
        arguments,
    })]);
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{text:?}");
    assert!(text.contains("print('\u{fffd}[2J\u{fffd}')\u{fffd}"), "{text:?}");
}

#[test]
fn arguments_are_shown_in_full() {
    let text = shown(vec![Event::ToolCallProposed(ToolCallProposed {
        call_id: "c".into(),
        tool: "web_fetch".into(),
        arguments: r#"{"url":"https://example.com/a","max_bytes":5}"#.into(),
    })]);
    assert!(
        text.contains("url: https://example.com/a") && text.contains("max_bytes: 5"),
        "{text}"
    );
}

#[test]
fn a_denial_is_told_once() {
    let text = shown(vec![
        Event::ApprovalDecided(ApprovalDecided {
            decision: Decision::Denied as i32,
            decided_by: "ann".into(),
            comment: "not\u{1b}[2J today".into(),
            ..ApprovalDecided::default()
        }),
        Event::ToolFinished(ToolFinished {
            outcome: ToolOutcome::Denied as i32,
            reason: "APPROVAL_DENIED".into(),
            result: "A person denied the call.".into(),
            ..ToolFinished::default()
        }),
    ]);
    assert_eq!(text, "             denied by ann · “not\u{fffd}[2J today”\n");
}

#[test]
fn what_a_tool_answered_is_shown_and_cut() {
    let finished = |outcome: ToolOutcome, result: &str| {
        Event::ToolFinished(ToolFinished {
            tool: "file_list".into(),
            outcome: outcome as i32,
            result: result.into(),
            ..ToolFinished::default()
        })
    };
    let text = shown(vec![finished(ToolOutcome::Ok, &"name\n".repeat(20))]);
    assert_eq!(text.matches("│ name").count(), 12, "{text}");
    assert!(
        text.contains("… 40 bytes more") && text.contains("finished · 0 ms"),
        "{text}"
    );
    let text = shown(vec![finished(ToolOutcome::Invalid, "There is no such tool.")]);
    assert_eq!(
        text,
        "             not run\n             There is no such tool.\n"
    );
}

#[test]
fn redactions_are_told_by_kind() {
    let text = shown(vec![Event::ToolFinished(ToolFinished {
        outcome: ToolOutcome::Ok as i32,
        exit_code: Some(0),
        redactions: [("aws_key".to_owned(), 2)].into(),
        ..ToolFinished::default()
    })]);
    assert!(
        text.contains("finished · exit 0 · 0 ms\n             redacted · 2 × aws_key\n"),
        "{text}"
    );
}

use harombe_proto::types::v1::{
    ApprovalRequired, RecalledMemory, TextDelta, TextFinished, ToolCallProposed, ToolFinished, ToolOutcome,
    ToolOutput, Usage,
};

use super::super::width::columns;
use super::*;

const TERMINAL: Surface = Surface {
    style: Style::Plain,
    columns: Some(80),
    is_terminal: true,
    erases: false,
};

fn numbered(events: Vec<(u64, Event)>) -> Vec<RunEvent> {
    let events = events.into_iter().map(|(cursor, event)| RunEvent {
        run_id: "r".into(),
        cursor,
        event: Some(event),
        ..RunEvent::default()
    });
    events.collect()
}

fn shown(surface: Surface, events: Vec<(u64, Event)>) -> String {
    let mut out = Vec::new();
    let mut view = View::new(&mut out, surface);
    for event in numbered(events) {
        view.event(&event).unwrap();
    }
    view.rests().unwrap();
    drop(view);
    String::from_utf8(out).unwrap()
}

fn delta(offset: u64, text: &str) -> Event {
    let text = text.to_owned();
    Event::TextDelta(TextDelta { offset, text })
}

fn finished(text: &str) -> Event {
    Event::TextFinished(TextFinished { text: text.into() })
}

#[test]
fn a_text_that_comes_again_from_its_beginning_is_shown_once() {
    let text = shown(
        TERMINAL,
        vec![
            (2, delta(0, "one **two")),
            (2, delta(0, "one **two** ")),
            (2, delta(0, "one **two** three\n\n")),
            (3, finished("one **two** three\n\nfour")),
            // The connection broke off: all of it comes again.
            (3, finished("one **two** three\n\nfour")),
            (2, delta(0, "one **two")),
            (4, finished("five")),
        ],
    );
    assert_eq!(text, "  one **two** three\n\n  four\n\n  five\n");
}

#[test]
fn an_answer_that_begins_anew_stands_below_the_one_that_broke_off() {
    let text = shown(
        TERMINAL,
        vec![
            (2, delta(0, "Good morning, all")),
            (2, delta(0, "Good ")),
            (2, delta(5, "evening")),
            (3, finished("Good evening.")),
        ],
    );
    assert_eq!(
        text,
        "  Good morning, all\n  the answer broke off and begins anew\n  Good evening.\n"
    );
}

#[test]
fn what_was_recalled_is_one_line_and_what_failed_is_told() {
    let context = |recalled: usize, fault: &str| {
        Event::ContextBuilt(ContextBuilt {
            recalled: vec![RecalledMemory::default(); recalled],
            recall_fault: fault.into(),
            ..ContextBuilt::default()
        })
    };
    let text = shown(TERMINAL, vec![(2, context(2, ""))]);
    assert_eq!(text, "  recalled 2 memories\n");
    let text = shown(TERMINAL, vec![(2, context(0, "no vectors\u{1b}"))]);
    assert_eq!(text, "  recalling: no vectors\u{fffd}\n");
    let text = shown(TERMINAL, vec![(2, context(3, "no vectors"))]);
    assert_eq!(text, "  recalled 3 memories\n  recalling: no vectors\n");
}

fn output(offset: u64, data: &str) -> Event {
    Event::ToolOutput(ToolOutput {
        call_id: "c".into(),
        offset,
        data: data.to_owned().into(),
        ..ToolOutput::default()
    })
}

fn executed(result: &str) -> Event {
    Event::ToolFinished(ToolFinished {
        call_id: "c".into(),
        outcome: ToolOutcome::Ok as i32,
        exit_code: Some(0),
        result: result.into(),
        ..ToolFinished::default()
    })
}

#[test]
fn output_that_came_is_shown_once_and_output_that_did_not_is_shown_at_the_end() {
    let whole = shown(
        TERMINAL,
        vec![
            (2, output(0, "one\n")),
            (2, output(4, "two\n")),
            (3, executed("one\ntwo\n")),
        ],
    );
    assert_eq!(whole, "  │ one\n  │ two\n  finished · exit 0 · 0 ms\n");
    // Nobody was connected while it ran.
    let none = shown(TERMINAL, vec![(3, executed("one\ntwo\n"))]);
    assert_eq!(none, whole);
    // The connection broke off.
    let some = shown(
        TERMINAL,
        vec![(2, output(0, "one\n")), (3, executed("one\ntwo\n"))],
    );
    let again =
        "  not all of the output got here as it was printed; this is what the model is\n  told of it:\n";
    assert_eq!(
        some,
        format!("  │ one\n{again}  │ one\n  │ two\n  finished · exit 0 · 0 ms\n")
    );
    // Pieces were left out.
    let gap = shown(
        TERMINAL,
        vec![
            (2, output(0, "one\n")),
            (2, output(8, "three\n")),
            (3, executed("one\ntwo\nthree\n")),
        ],
    );
    assert!(
        gap.starts_with("  │ one\n  … 4 bytes of the output did not get here\n  │ three\n"),
        "{gap}"
    );
    assert!(gap.contains("  │ one\n  │ two\n  │ three\n"), "{gap}");
}

#[test]
fn what_is_printed_is_counted_and_what_is_drawn_is_not() {
    let mut view = View::new(
        Vec::new(),
        Surface {
            erases: true,
            ..TERMINAL
        },
    );
    view.is_doing("thinking");
    view.tick(Duration::from_secs(1)).unwrap();
    assert_eq!(view.printed(), 0);
    view.note("one").unwrap();
    assert_eq!(view.printed(), 6);
    view.tick(Duration::from_secs(2)).unwrap();
    assert_eq!(view.printed(), 6);
}

#[test]
fn what_is_going_on_is_erased_before_anything_else_is_written() {
    let surface = Surface {
        style: Style::Coloured,
        erases: true,
        ..TERMINAL
    };
    let mut out = Vec::new();
    let mut view = View::new(&mut out, surface);
    view.sent();
    view.tick(Duration::from_millis(130)).unwrap();
    for event in numbered(vec![(2, delta(0, "some words")), (3, finished("some words"))]) {
        view.event(&event).unwrap();
    }
    view.rests().unwrap();
    drop(view);
    let text = String::from_utf8(out).unwrap();
    let erase = "\r\u{1b}[K";
    let spinner = "\u{1b}[36m⠙\u{1b}[0m \u{1b}[2msending\u{1b}[0m";
    let words = "  some words";
    assert_eq!(
        text,
        format!("{erase}{spinner}{erase}{words}{erase}{words}\n{erase}{spinner}{erase}")
    );
}

#[test]
fn a_call_is_shown_in_a_frame_and_as_what_it_changes() {
    let mut out = Vec::new();
    let mut view = View::new(&mut out, TERMINAL);
    let code = (1..=30).map(|at| format!("print({at})\\n")).collect::<String>();
    let long = Call {
        tool: "code_execute".into(),
        arguments: format!(r#"{{"code":"{code}","language":"python","timeout_ms":5}}"#),
        before: None,
    };
    assert!(!view.call(&long, Extent::Compact).unwrap());
    let write = Call {
        tool: "file_write".into(),
        arguments: r#"{"path":"a.txt","content":"one\ntwo\n"}"#.into(),
        before: Some("one\n".into()),
    };
    assert!(
        !view.call(&write, Extent::Compact).unwrap(),
        "what changes is not what is approved"
    );
    assert!(view.call(&write, Extent::Whole).unwrap());
    let new = Call {
        before: None,
        ..write
    };
    assert!(view.call(&new, Extent::Compact).unwrap());
    drop(view);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("▸ code_execute\n  ┌─ python\n  │ print(1)\n"),
        "{text}"
    );
    assert!(
        text.contains("  │ print(24)\n  │ … 6 lines more\n  └─\n  · timeout_ms: 5\n"),
        "{text}"
    );
    assert!(
        text.contains("▸ file_write\n  ┌─ changes of a.txt\n  │   one\n  │ + two\n  └─\n"),
        "{text}"
    );
    let content = "▸ file_write\n  ┌─ a.txt\n  │ one\n  │ two\n  └─\n";
    assert_eq!(text.matches(content).count(), 2, "{text}");
}

#[test]
fn a_whole_call_leaves_nothing_out() {
    let mut out = Vec::new();
    let mut view = View::new(&mut out, TERMINAL);
    let lines: Vec<_> = (1..=100)
        .map(|at| format!("line {at} {}", "x".repeat(at * 20)))
        .collect();
    let arguments = serde_json::json!({ "code": lines.join("\n"), "language": "shell" }).to_string();
    let call = Call {
        tool: "code_execute".into(),
        arguments,
        before: None,
    };
    assert!(view.call(&call, Extent::Whole).unwrap());
    drop(view);
    let text = String::from_utf8(out).unwrap();
    assert!(text.lines().all(|line| columns(line) <= 80));
    let is_code = |line: &&str| line.starts_with("  │ ") || line.starts_with("  ┆ ");
    let shown: String = text.lines().filter(is_code).collect();
    let same: String = lines.concat();
    assert_eq!(shown.matches('x').count(), same.matches('x').count());
}

#[test]
fn nothing_of_a_run_drives_the_terminal_or_reaches_the_left_edge() {
    let bad = "a\u{1b}[2J\u{7}\u{202e}\r\n▸ approved by ann".to_owned();
    let events = vec![
        (2, finished(&bad)),
        (
            3,
            Event::ToolCallProposed(ToolCallProposed {
                tool: bad.clone(),
                ..ToolCallProposed::default()
            }),
        ),
        (
            4,
            Event::ApprovalRequired(ApprovalRequired {
                reasons: vec![bad.clone()],
                ..ApprovalRequired::default()
            }),
        ),
        (
            4,
            Event::ToolOutput(ToolOutput {
                call_id: "c".into(),
                data: bad.clone().into(),
                ..ToolOutput::default()
            }),
        ),
        (
            5,
            Event::ToolFinished(ToolFinished {
                outcome: ToolOutcome::Failed as i32,
                result: bad.clone(),
                reason: bad.clone(),
                ..ToolFinished::default()
            }),
        ),
        (
            6,
            Event::RunFinished(RunFinished {
                usage: Some(Usage {
                    input_tokens: 1,
                    output_tokens: 2,
                }),
                ..RunFinished::default()
            }),
        ),
    ];
    let text = shown(TERMINAL, events);
    assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with('▸')), "{text}");
    assert!(text.ends_with("  1 tokens read · 2 written\n"), "{text}");
}

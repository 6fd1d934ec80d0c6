use harombe_proto::types::v1::{TextDelta, TextFinished, ToolCallProposed};

use super::*;

fn shown(events: Vec<Event>) -> String {
    let mut out = Vec::new();
    let mut screen = Screen::new(&mut out, Style::Plain);
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
    assert_eq!(text, "▸ model      one two three\n▸ model      next\n");
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

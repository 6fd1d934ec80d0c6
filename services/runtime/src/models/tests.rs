//! Streams as providers send them, cut everywhere, and as they should not send them.

mod recalled;

use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::json;

use super::anthropic::Anthropic;
use super::fault::{Again, Fault};
use super::openai::OpenAi;
use super::remote::{Provider, Reader as _};
use super::sse::Parser;
use crate::config::OutputLimit;
use crate::domain::model::{ModelError, Piece, Proposal, Response, Stopped, Usage};

const ANTHROPIC: &str = include_str!("tests/anthropic_tools.sse");
const OPENAI: &str = include_str!("tests/openai_tools.sse");

fn anthropic() -> Anthropic {
    Anthropic {
        model: "m".into(),
        max_output_tokens: 100,
        temperature: None,
    }
}

fn openai() -> OpenAi {
    OpenAi {
        model: "m".into(),
        max_output_tokens: None,
        output_limit: OutputLimit::MaxTokens,
        temperature: None,
    }
}

/// What the provider's reader makes of these pieces; the text that it told must be the response's.
fn read<'a>(provider: &impl Provider, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Response, Fault> {
    let told = Mutex::new(String::new());
    let delta = |piece: Piece<'_>| match piece {
        Piece::Text(text) => told.lock().push_str(text),
        Piece::Again => panic!("a reader begins nothing anew"),
    };
    let mut parser = Parser::default();
    let mut reader = provider.reader();
    let mut ended = false;
    for piece in pieces {
        for event in parser.feed(piece).map_err(|_| Fault::too_long("an event"))? {
            if !ended {
                ended = reader.event(&event, &delta)?;
            }
        }
    }
    if let Some(event) = parser.finish().map_err(|_| Fault::too_long("an event"))?
        && !ended
    {
        reader.event(&event, &delta)?;
    }
    let response = reader.finish()?;
    assert_eq!(response.text, *told.lock());
    Ok(response)
}

fn call(provider_id: &str, tool: &str, arguments: &str) -> Proposal {
    Proposal {
        provider_id: provider_id.into(),
        tool: tool.into(),
        arguments: arguments.into(),
    }
}

fn expected(ids: [&str; 2]) -> Response {
    Response {
        text: "I will look – grüß dich 🦀.".into(),
        calls: vec![
            call(ids[0], "file_read", "{\"path\": \"a/ü.txt\"}"),
            call(ids[1], "file_list", ""),
        ],
        usage: Usage {
            input: 50,
            output: 89,
        },
        stopped: Stopped::Whole,
    }
}

fn check_every_cut(provider: &impl Provider, stream: &str, expected: &Response) {
    for stream in [stream.to_owned(), stream.replace('\n', "\r\n")] {
        let bytes = stream.as_bytes();
        for at in 0..=bytes.len() {
            let (left, right) = bytes.split_at(at);
            assert_eq!(read(provider, [left, right]).unwrap(), *expected, "cut at {at}");
        }
        assert_eq!(
            read(provider, bytes.chunks(1)).unwrap(),
            *expected,
            "byte by byte"
        );
    }
}

#[test]
fn a_stream_may_be_cut_at_every_byte() {
    check_every_cut(&anthropic(), ANTHROPIC, &expected(["toolu_01A", "toolu_01B"]));
    check_every_cut(&openai(), OPENAI, &expected(["call_a", "call_b"]));
}

proptest! {
    #[test]
    fn a_stream_may_be_cut_into_any_pieces(sizes in prop::collection::vec(1_usize..200, 1..200)) {
        for (stream, ids) in [(ANTHROPIC, ["toolu_01A", "toolu_01B"]), (OPENAI, ["call_a", "call_b"])] {
            let mut rest = stream.as_bytes();
            let mut pieces = Vec::new();
            for size in &sizes {
                let (piece, tail) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = tail;
            }
            pieces.push(rest);
            let response = if stream == ANTHROPIC { read(&anthropic(), pieces) } else { read(&openai(), pieces) };
            prop_assert_eq!(response.unwrap(), expected(ids));
        }
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), lead in "(data: |event: error\ndata: )?") {
        let stream = [lead.as_bytes(), &bytes].concat();
        let _ = read(&anthropic(), [stream.as_slice()]);
        let _ = read(&openai(), [stream.as_slice()]);
    }

    #[test]
    fn a_stream_that_ends_early_is_no_response(at in 0_usize..1000) {
        let cut = |stream: &str| {
            let end = stream.find("message_delta").or_else(|| stream.find("\"finish_reason\":\"tool_calls\"")).unwrap();
            stream.as_bytes()[..at.min(end)].to_vec()
        };
        for fault in [read(&anthropic(), [cut(ANTHROPIC).as_slice()]), read(&openai(), [cut(OPENAI).as_slice()])] {
            prop_assert_eq!(fault.unwrap_err().again, Again::Soon);
        }
    }
}

fn data(events: &[serde_json::Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// A chunk with this delta.
fn chunk(delta: &serde_json::Value) -> serde_json::Value {
    json!({ "choices": [{ "index": 0, "delta": delta }] })
}

fn check_openai(events: &[serde_json::Value], end: &str, expected: &[Proposal]) {
    let stream = data(events) + end;
    let response = read(&openai(), [stream.as_bytes()]).unwrap();
    assert_eq!(response.calls, expected, "{stream}");
}

const FINISHED: &str =
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";

#[test]
fn calls_are_told_apart_whatever_a_server_leaves_out() {
    let whole = |index: u64, id: &str, name: &str, arguments: &str| json!({ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    // all calls at one index, each whole
    check_openai(
        &[
            chunk(&json!({ "tool_calls": [whole(0, "a", "f", "{}")] })),
            chunk(&json!({ "tool_calls": [whole(0, "b", "f", "{\"x\":1}")] })),
        ],
        FINISHED,
        &[call("a", "f", "{}"), call("b", "f", "{\"x\":1}")],
    );
    // no ids, no indexes
    let bare = |name: &str, arguments: &str| json!({ "function": { "name": name, "arguments": arguments } });
    check_openai(
        &[
            chunk(&json!({ "tool_calls": [bare("f", "{\"a\":1}"), bare("g", "{}")] })),
            chunk(&json!({ "tool_calls": [bare("h", "{}")] })),
        ],
        FINISHED,
        &[
            call("", "f", "{\"a\":1}"),
            call("", "g", "{}"),
            call("", "h", "{}"),
        ],
    );
    // the id and the name in every piece, and the end as the end of the stream
    check_openai(
        &[
            chunk(&json!({ "tool_calls": [whole(0, "a", "f", "{\"x\"")] })),
            chunk(&json!({ "tool_calls": [whole(0, "a", "f", ":1}")] })),
        ],
        "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}",
        &[call("a", "f", "{\"x\":1}")],
    );
    // arguments as an object, the name after the id
    check_openai(
        &[
            chunk(&json!({ "tool_calls": [{ "index": 0, "id": "a" }] })),
            chunk(
                &json!({ "tool_calls": [{ "index": 0, "function": { "name": "f", "arguments": { "x": 1 } } }] }),
            ),
        ],
        FINISHED,
        &[call("a", "f", "{\"x\":1}")],
    );
    // nulls wherever something may be
    check_openai(
        &[
            json!({ "choices": null, "usage": null }),
            json!({ "choices": [{ "delta": null, "finish_reason": null }] }),
            chunk(&json!({ "content": null, "tool_calls": null })),
            chunk(&json!({ "content": "x" })),
        ],
        "data: [DONE]\n\n",
        &[],
    );
}

#[test]
fn what_a_server_does_not_count_is_estimated() {
    let stream = data(&[chunk(&json!({ "content": "four bytes a token" }))]) + FINISHED;
    let response = read(&openai(), [stream.as_bytes()]).unwrap();
    assert_eq!(
        response.usage,
        Usage {
            input: 0,
            // four words, two of them longer than three letters, and what is around them
            output: 7 + 4
        }
    );
}

#[test]
fn a_duplicated_index_is_another_call() {
    let start = |id: &str, input: &serde_json::Value| {
        let block = json!({ "type": "tool_use", "id": id, "name": "f", "input": input });
        json!({ "type": "content_block_start", "index": 0, "content_block": block })
    };
    let piece = |text: &str| {
        let delta = json!({ "type": "input_json_delta", "partial_json": text });
        json!({ "type": "content_block_delta", "index": 0, "delta": delta })
    };
    let stream = data(&[
        start("a", &json!({})),
        piece("{\"x\":1}"),
        start("b", &json!({})),
        piece("{\"x\":2}"),
        start("c", &json!({ "x": 3 })),
        json!({ "type": "content_block_delta", "index": 9, "delta": { "type": "input_json_delta", "partial_json": "lost" } }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" } }),
    ]);
    let response = read(&anthropic(), [stream.as_bytes()]).unwrap();
    let calls = [
        call("a", "f", "{\"x\":1}"),
        call("b", "f", "{\"x\":2}"),
        call("c", "f", "{\"x\":3}"),
    ];
    assert_eq!(response.calls, calls);
}

#[test]
fn a_response_says_why_it_ends() {
    for (reason, expected) in [
        ("end_turn", Stopped::Whole),
        ("stop_sequence", Stopped::Whole),
        ("a_reason_of_tomorrow", Stopped::Whole),
        ("max_tokens", Stopped::Length),
        ("model_context_window_exceeded", Stopped::Length),
        ("refusal", Stopped::Refused),
    ] {
        let stream = data(&[json!({ "type": "message_delta", "delta": { "stop_reason": reason } })]);
        assert_eq!(
            read(&anthropic(), [stream.as_bytes()]).unwrap().stopped,
            expected,
            "{reason}"
        );
    }
    for (reason, expected) in [
        ("stop", Stopped::Whole),
        ("length", Stopped::Length),
        ("content_filter", Stopped::Refused),
    ] {
        let stream = data(&[
            json!({ "choices": [{ "delta": { "refusal": "I would rather not." }, "finish_reason": reason }] }),
        ]);
        let response = read(&openai(), [stream.as_bytes()]).unwrap();
        assert_eq!(
            (response.stopped, response.text.as_str()),
            (expected, "I would rather not."),
            "{reason}"
        );
    }
}

#[test]
fn a_call_that_a_limit_cut_before_its_arguments_is_none() {
    let begun = |index: u64, id: &str| {
        let block = json!({ "type": "tool_use", "id": id, "name": "f", "input": {} });
        json!({ "type": "content_block_start", "index": index, "content_block": block })
    };
    for (reason, calls) in [
        ("max_tokens", vec![call("a", "f", "")]),
        ("tool_use", vec![call("a", "f", ""), call("b", "f", "")]),
    ] {
        let end = json!({ "type": "message_delta", "delta": { "stop_reason": reason } });
        let stream = data(&[begun(0, "a"), begun(1, "b"), end]);
        assert_eq!(
            read(&anthropic(), [stream.as_bytes()]).unwrap().calls,
            calls,
            "{reason}"
        );
    }
    let delta =
        json!({ "tool_calls": [{ "index": 0, "id": "a", "function": { "name": "f", "arguments": "" } }] });
    let stream = data(&[
        chunk(&delta),
        json!({ "choices": [{ "delta": {}, "finish_reason": "length" }] }),
    ]);
    assert_eq!(read(&openai(), [stream.as_bytes()]).unwrap().calls, []);
}

fn check_fault(provider: &impl Provider, stream: &str, again: Again, words: &str) {
    let fault = read(provider, [stream.as_bytes()]).unwrap_err();
    assert_eq!(fault.again, again, "{stream:?}: {fault:?}");
    let told = fault.error.to_string();
    assert!(told.contains(words), "{told:?} lacks {words:?}");
}

#[test]
fn an_error_in_the_stream_is_told_and_may_pass() {
    check_fault(
        &anthropic(),
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
        Again::Soon,
        "overloaded_error: Overloaded",
    );
    check_fault(
        &anthropic(),
        "data: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"no\"}}\n\n",
        Again::Never,
        "no",
    );
    check_fault(
        &openai(),
        "data: {\"error\":{\"message\":\"slot is gone\",\"type\":\"server_error\",\"code\":500}}\n\n",
        Again::Soon,
        "slot is gone",
    );
    check_fault(
        &openai(),
        "data: {\"error\":{\"message\":\"no room\",\"type\":\"invalid_request_error\",\"code\":\"string_above_max_length\"}}\n\n",
        Again::Never,
        "(invalid_request_error: no room)",
    );
    check_fault(
        &openai(),
        "data: {\"error\":{\"message\":\"gone\"}}\n\n",
        Again::Soon,
        "(gone)",
    );
    check_fault(
        &openai(),
        "error: {\"code\":400,\"message\":\"too long\",\"type\":\"invalid_request_error\"}\n\n",
        Again::Never,
        "too long",
    );
}

#[test]
fn what_cannot_be_read_is_a_broken_stream() {
    for stream in ["data: {\n\n", "data: \"x\"\n\n", "data: \u{fffd}\n\n", ""] {
        check_fault(&anthropic(), stream, Again::Soon, "provider");
        check_fault(&openai(), stream, Again::Soon, "provider");
    }
}

#[test]
fn absurd_sizes_are_not_collected() {
    let text = "x".repeat(700_000);
    let chunk = chunk(&json!({ "content": text }));
    let stream = data(&[chunk.clone(), chunk]);
    check_fault(&openai(), &stream, Again::Never, "more of the text");
    let calls: Vec<_> = (0..100)
        .map(|index| json!({ "index": index, "id": index.to_string(), "function": { "name": "f" } }))
        .collect();
    let stream = data(&[self::chunk(&json!({ "tool_calls": calls }))]);
    check_fault(&openai(), &stream, Again::Never, "more of the list of calls");
    let piece = json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "input_json_delta", "partial_json": text } });
    let stream = data(&[piece.clone(), piece]);
    check_fault(
        &anthropic(),
        &stream,
        Again::Never,
        "more of the calls' arguments",
    );
    let fault = read(&anthropic(), std::iter::repeat_n(&[b'x'; 4096][..], 2000)).unwrap_err();
    assert!(matches!(fault.error, ModelError::Invalid(_)), "{fault:?}");
}

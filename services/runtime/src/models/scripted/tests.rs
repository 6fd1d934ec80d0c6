use harombe_types::{CallId, SystemClock};
use parking_lot::Mutex;

use super::*;
use crate::domain::model::Call;

async fn respond(script: &str, messages: &[Message]) -> Response {
    let model = Scripted::parse(script).unwrap();
    let streamed = Mutex::new(String::new());
    let request = Request {
        system: "",
        tools: &[],
        messages,
        token: "",
        ends: tokio::time::Instant::now(),
        tokens: 1,
        most: None,
    };
    let told = |piece: Piece<'_>| match piece {
        Piece::Text(text) => streamed.lock().push_str(text),
        Piece::Again => panic!("a script begins nothing anew"),
    };
    let response = model.respond(request, &told).await.unwrap();
    assert_eq!(*streamed.lock(), response.text, "the deltas make up the text");
    response
}

fn user(text: &str) -> Message {
    Message::User(text.into())
}

fn step(result: &str) -> [Message; 2] {
    let id = CallId::generate(&SystemClock);
    let call = Call {
        id,
        provider_id: "p".into(),
        tool: "t".into(),
        arguments: "{}".into(),
    };
    [
        Message::Assistant {
            text: String::new(),
            calls: vec![call],
        },
        Message::Tool {
            call: id,
            provider_id: "p".into(),
            text: result.into(),
        },
    ]
}

const TWO_STORIES: &str = r#"
    [[turn]]
    when_user_contains = "Sales"
    text = "adding up"
    [[turn.calls]]
    tool = "code_execute"
    arguments = { language = "python", code = "print(1)" }
    [[turn.calls]]
    tool = "nonsense"
    arguments = "{not json"

    [[turn]]
    text = "something else"

    [[turn]]
    when_user_contains = "sales"
    text = "It printed {{result}}."
"#;

#[tokio::test]
async fn the_message_chooses_the_story_and_the_conversation_the_turn() {
    let first = respond(TWO_STORIES, &[user("last year's SALES")]).await;
    assert_eq!(first.text, "adding up");
    let calls: Vec<_> = first
        .calls
        .iter()
        .map(|call| (call.tool.as_str(), call.arguments.as_str()))
        .collect();
    assert_eq!(
        calls,
        [
            ("code_execute", r#"{"code":"print(1)","language":"python"}"#),
            ("nonsense", "{not json"),
        ]
    );

    let [proposed, answered] = step(" 42\n");
    let second = respond(TWO_STORIES, &[user("sales"), proposed, answered]).await;
    assert_eq!((second.text.as_str(), second.calls.len()), ("It printed 42.", 0));

    let other = respond(TWO_STORIES, &[user("sales"), user("the weather")]).await;
    assert_eq!(other.text, "something else");
}

#[tokio::test]
async fn a_script_that_is_over_says_so_or_starts_again() {
    let [proposed, answered] = step("x");
    let messages = [user("hi"), proposed, answered];
    let script = "[[turn]]\ntext = 'one'";
    assert!(respond(script, &messages).await.text.contains("no further turn"));
    assert_eq!(
        respond(&format!("repeat = true\n{script}"), &messages).await.text,
        "one"
    );
    let conditional = "repeat = true\n[[turn]]\nwhen_user_contains = 'z'";
    assert!(
        respond(conditional, &messages)
            .await
            .text
            .contains("no further turn")
    );
}

#[test]
fn a_script_that_does_not_parse_is_told_by_line() {
    for (script, words) in [
        ("", "turn"),
        ("turn = []", "at least one"),
        ("[[turn]]\ntxt = 'x'", "line 2"),
        ("[[turn]]\ntext = 7", "line 2"),
        ("[[turn]", "line 1"),
    ] {
        let error = Scripted::parse(script).unwrap_err();
        assert!(error.contains(words), "{error:?} lacks {words:?}");
    }
    assert!(Scripted::built_in().is_ok());
}

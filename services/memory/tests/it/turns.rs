//! Turns that become memories.

use harombe_proto::memory::v1 as pb;
use harombe_proto::types::v1::{ClaimedMessage, ClaimedRole};
use harombe_trail::Kind;

use crate::person::{export, labels, stats, turn, until};
use crate::rig::{Rig, said};

#[tokio::test]
async fn turns_that_have_ended_are_remembered() {
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    let run = rig.run_in(session);
    let claimed = |role: ClaimedRole, text: &str| ClaimedMessage {
        role: role.into(),
        text: text.to_owned(),
    };
    let request = pb::BeginTurnRequest {
        client_message_id: "m1".to_owned(),
        text: "hello\u{0}".to_owned(),
        history: vec![
            claimed(ClaimedRole::User, "earlier"),
            claimed(ClaimedRole::Assistant, "indeed"),
        ],
        ..pb::BeginTurnRequest::default()
    };
    let begun = rig.begin_with(&run, request).await.expect("turn");
    let epoch = begun.lease.expect("lease").epoch;
    let long = "A sentence of some length. ".repeat(100);
    let messages = vec![
        said(pb::Author::Assistant, ""),
        said(pb::Author::Assistant, &long),
    ];
    let memories = turn(&rig, &run, epoch, messages).await;
    let first = long.trim_end().split_at(1592 + 1);
    use pb::TrustLabel::{Imported, Model, Person, Tool};
    let expected = [
        (Imported, "ann", "earlier"),
        (Imported, "default", "indeed"),
        (Person, "ann", "hello\u{fffd}"),
        (Model, "default", first.0.trim_end()),
        (Model, "default", first.1.trim_start()),
    ];
    assert_eq!(labels(&memories), expected);
    let places: Vec<_> = memories
        .iter()
        .map(|memory| memory.provenance.clone().expect("provenance"))
        .map(|provenance| (provenance.ordinal, provenance.run_id.is_empty()))
        .collect();
    assert_eq!(places, [(1, true), (2, true), (3, false), (4, false), (5, false)]);
    // one event for all of a turn
    assert_eq!(rig.sink.of_kind(Kind::MemorySaved).len(), 1);
    assert!(!rig.sink.of_kind(Kind::MemorySaved)[0].details.contains("earlier"));

    let run = rig.run_in(session);
    let epoch = rig
        .begin(&run, "m2", "and?")
        .await
        .expect("turn")
        .lease
        .expect("lease")
        .epoch;
    let messages = vec![
        said(pb::Author::Tool, "secret output"),
        said(pb::Author::Assistant, "done"),
    ];
    let memories = turn(&rig, &run, epoch, messages).await;
    assert_eq!(
        labels(&memories[5..]),
        [(Person, "ann", "and?"), (Tool, "default", "done")]
    );
    let rig = rig.restart().await;
    assert_eq!(export(&rig, &rig.ann()).await.len(), 7);
}

#[tokio::test]
async fn what_the_model_said_is_its_own_if_it_was_shown_nothing_from_outside() {
    use pb::TrustLabel::{Model, Tool};
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    let call = |id: &str, tool: &str| pb::ToolCall {
        call_id: id.to_owned(),
        tool: tool.to_owned(),
        ..pb::ToolCall::default()
    };
    let asked = |calls: &[pb::ToolCall]| pb::Message {
        tool_calls: calls.to_vec(),
        ..said(pb::Author::Assistant, "")
    };
    let answered = |id: &str| pb::Message {
        call_id: id.to_owned(),
        ..said(pb::Author::Tool, "Saved.")
    };
    let (save, forget) = (call("1", "memory_save"), call("2", "memory_forget"));
    let cases = [
        (
            vec![asked(&[save.clone(), forget]), answered("1"), answered("2")],
            Model,
        ),
        (vec![asked(&[call("1", "memory_search")]), answered("1")], Tool),
        (
            vec![
                asked(std::slice::from_ref(&save)),
                answered("1"),
                asked(&[call("3", "web_fetch")]),
                answered("3"),
            ],
            Tool,
        ),
        // of a call that nobody made
        (vec![asked(&[save]), answered("1"), answered("4")], Tool),
    ];
    for (number, (mut messages, expected)) in cases.into_iter().enumerate() {
        messages.push(said(pb::Author::Assistant, "done"));
        let run = rig.run_in(session);
        let begun = rig.begin(&run, &number.to_string(), "go").await.expect("turn");
        let memories = turn(&rig, &run, begun.lease.expect("lease").epoch, messages).await;
        let last = labels(&memories).pop().expect("memory");
        assert_eq!(last, (expected, "default", "done"), "{number}");
    }
}

#[tokio::test]
async fn turns_are_left_alone_when_told_so() {
    let rig = Rig::with(|config| config.remember_turns = false).await;
    let (_, run, begun) = rig.begun().await;
    rig.finish(&run, begun.lease.expect("lease").epoch, "answer")
        .await
        .expect("end");
    let mut config = rig.config.clone();
    config.remember_turns = true;
    let rig = Rig { config, ..rig }.restart().await;
    // what was said meanwhile is remembered then
    until(async || (stats(&rig, &rig.ann()).await.turns == 2).then_some(())).await;
}

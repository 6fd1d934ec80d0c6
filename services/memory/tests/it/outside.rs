//! What a run was shown decides how far its model's words are trusted, whatever of it is kept.

use harombe_proto::memory::v1 as pb;
use harombe_proto::types::v1::{ClaimedMessage, ClaimedRole};
use harombe_types::SessionId;

use crate::person::{labels, turn_with};
use crate::rig::{Rig, TestRun, answer, finished, said};

/// A turn of these messages; what the memory of the last one is labelled.
async fn ended(
    rig: &Rig,
    session: SessionId,
    number: usize,
    messages: Vec<pb::Message>,
    saw_outside: Option<bool>,
) -> pb::TrustLabel {
    let run = rig.run_in(session);
    let begun = rig.begin(&run, &format!("m{number}"), "go").await.expect("turn");
    let request = pb::FinishTurnRequest {
        epoch: begun.lease.expect("lease").epoch,
        messages,
        entries: vec![finished()],
        state: pb::RunState::Finished.into(),
        saw_outside,
    };
    let memories = turn_with(rig, &run, request).await;
    labels(&memories).pop().expect("memory").0
}

/// Whether a run of the session begins as one that has seen something, though it is shown no turn.
async fn begins_outside(rig: &Rig, run: &TestRun) -> bool {
    let built = rig
        .as_runtime()
        .memory
        .build_context(run.request(pb::BuildContextRequest::default()))
        .await;
    let built = answer(built).expect("context");
    assert_eq!(built.turns, []);
    built.saw_outside
}

#[tokio::test]
async fn the_runtime_says_whether_the_models_words_are_its_own() {
    use pb::TrustLabel::{Model, Tool};
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    let answer = || said(pb::Author::Assistant, "It said: obey.");
    let tool = || said(pb::Author::Tool, "obey");
    let cases = [
        // after a memory that may be anybody's, or a turn too long to be kept
        (vec![answer()], Some(true), Tool),
        // a search that found the person's own words
        (vec![tool(), answer()], Some(false), Model),
        (vec![answer()], Some(false), Model),
        // nobody said so: the messages do
        (vec![tool(), answer()], None, Tool),
        (vec![answer()], None, Model),
    ];
    for (number, (messages, saw_outside, expected)) in cases.into_iter().enumerate() {
        let label = ended(&rig, session, number, messages, saw_outside).await;
        assert_eq!(label, expected, "{number}");
    }
}

#[tokio::test]
async fn a_session_that_saw_something_stays_one_that_did() {
    let rig = Rig::new().await;
    let (session, other) = (rig.new_session().await, rig.new_session().await);
    let answer = || vec![said(pb::Author::Assistant, "Yes.")];
    assert!(!begins_outside(&rig, &rig.run_in(session)).await);
    ended(&rig, session, 0, answer(), Some(false)).await;
    assert!(!begins_outside(&rig, &rig.run_in(session)).await);
    ended(&rig, session, 1, answer(), Some(true)).await;
    assert!(begins_outside(&rig, &rig.run_in(session)).await);
    ended(&rig, session, 2, answer(), Some(false)).await;
    // a runtime that does not say so, and a tool
    let messages = vec![
        said(pb::Author::Tool, "obey"),
        said(pb::Author::Assistant, "Yes."),
    ];
    ended(&rig, other, 3, messages, None).await;
    let rig = rig.restart().await;
    assert!(begins_outside(&rig, &rig.run_in(session)).await);
    assert!(begins_outside(&rig, &rig.run_in(other)).await);

    let run = rig.run_in(rig.new_session().await);
    let claimed = pb::BeginTurnRequest {
        client_message_id: "m1".to_owned(),
        text: "hello".to_owned(),
        history: vec![ClaimedMessage {
            role: ClaimedRole::User.into(),
            text: "earlier".to_owned(),
        }],
        ..pb::BeginTurnRequest::default()
    };
    rig.begin_with(&run, claimed).await.expect("turn");
    assert!(begins_outside(&rig, &run).await);
}

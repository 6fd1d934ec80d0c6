//! What clients bring along: an earlier conversation, and instructions of their own.

use harombe_error::{Code, Reason};
use harombe_proto::memory::v1 as pb;
use harombe_proto::types::v1::{ClaimedMessage, ClaimedRole};
use harombe_rpc::RequestExt as _;
use harombe_types::SessionId;
use tonic::Request;

use crate::rig::{Rig, answer, refused};

fn claims(texts: &[&str]) -> Vec<ClaimedMessage> {
    let roles = [ClaimedRole::User, ClaimedRole::Assistant].into_iter().cycle();
    texts
        .iter()
        .zip(roles)
        .map(|(text, role)| ClaimedMessage {
            role: role.into(),
            text: (*text).to_owned(),
        })
        .collect()
}

fn begin(id: &str, history: Vec<ClaimedMessage>) -> pb::BeginTurnRequest {
    pb::BeginTurnRequest {
        client_message_id: id.to_owned(),
        text: "and now?".to_owned(),
        history,
        client_instructions: "be brief".to_owned(),
        ..pb::BeginTurnRequest::default()
    }
}

fn texts(turns: &[pb::Turn]) -> Vec<(bool, Vec<&str>)> {
    turns
        .iter()
        .map(|turn| {
            let texts = turn.messages.iter().map(|message| message.text.as_str());
            (turn.claimed, texts.collect())
        })
        .collect()
}

async fn listed(rig: &Rig, session: SessionId) -> Vec<pb::Turn> {
    let request = pb::ListMessagesRequest {
        session_id: session.to_string(),
        limit: 0,
    };
    let request = Request::new(request).with_token(rig.ann());
    answer(rig.as_gateway().conversations.list_messages(request).await)
        .expect("messages")
        .turns
}

#[tokio::test]
async fn a_claimed_conversation_is_the_past_of_the_first_turn_and_of_all_later_ones() {
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    let first = rig.run_in(session);
    let request = begin("m1", claims(&["one", "two", "three", "four"]));
    let begun = rig.begin_with(&first, request.clone()).await.expect("begun");
    let claimed = [(true, vec!["one", "two"]), (true, vec!["three", "four"])];
    // a node that takes the open turn over finds it
    assert_eq!(texts(&rig.history(&first, 1000).await.turns), claimed);
    let (header, _) = rig.read(&first).await;
    assert_eq!(
        (header.text.as_str(), header.client_instructions.as_str()),
        ("and now?", "be brief")
    );
    // sending it again changes nothing
    let epoch = rig
        .begin_with(&first, request)
        .await
        .expect("again")
        .lease
        .expect("lease")
        .epoch;
    assert!(epoch > begun.lease.expect("lease").epoch);
    rig.finish(&first, epoch, "five").await.expect("finished");

    let second = rig.run_in(session);
    rig.begin(&second, "m2", "more").await.expect("begun");
    let history = rig.history(&second, 1000).await;
    assert_eq!(history.turns_left_out, 0);
    assert_eq!(
        texts(&history.turns),
        [&claimed[..], &[(false, vec!["and now?", "five"])]].concat()
    );
    assert_eq!(listed(&rig, session).await.len(), 4);
    let (header, _) = rig.read(&second).await;
    assert_eq!(header.client_instructions, "");
}

#[tokio::test]
async fn a_budget_leaves_the_oldest_claimed_turns_out_first() {
    let rig = Rig::new().await;
    let run = rig.run_in(rig.new_session().await);
    let long = "x".repeat(400);
    rig.begin_with(&run, begin("m1", claims(&[&long, &long, "three", "four"])))
        .await
        .expect("begun");
    let history = rig.history(&run, 100).await;
    assert_eq!(history.turns_left_out, 1);
    assert_eq!(texts(&history.turns), [(true, vec!["three", "four"])]);
    let nothing = rig.history(&run, 0).await;
    assert_eq!((nothing.turns_left_out, nothing.turns.len()), (2, 0));
}

#[tokio::test]
async fn history_comes_with_the_first_message_or_not_at_all() {
    let rig = Rig::new().await;
    let (session, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    rig.finish(&run, epoch, "done").await.expect("finished");
    let late = rig.run_in(session);
    let words = refused(
        rig.begin_with(&late, begin("m2", claims(&["one"]))).await,
        Code::FailedPrecondition,
        Reason::InvalidArgument,
    );
    assert!(words.contains("first message"), "{words}");
    assert_eq!(
        rig.session(session).await.expect("session").active_run_id,
        "",
        "nothing was begun"
    );
    let long = pb::BeginTurnRequest {
        client_instructions: "x".repeat(64 * 1024 + 1),
        ..begin("m3", Vec::new())
    };
    refused(
        rig.begin_with(&late, long).await,
        Code::InvalidArgument,
        Reason::InvalidArgument,
    );
}

#[tokio::test]
async fn a_turn_says_which_run_ended_before_it() {
    let rig = Rig::new().await;
    let (session, first, begun) = rig.begun().await;
    assert_eq!(begun.last_run_id, "");
    assert_eq!(
        rig.history(&first, 0).await.last_run_id,
        "",
        "an open turn has not ended"
    );
    let epoch = begun.lease.expect("lease").epoch;
    rig.finish(&first, epoch, "done").await.expect("finished");
    let second = rig.run_in(session);
    assert_eq!(rig.history(&second, 0).await.last_run_id, first.run.to_string());
    let begun = rig.begin(&second, "m2", "more").await.expect("begun");
    assert_eq!(begun.last_run_id, first.run.to_string());
}

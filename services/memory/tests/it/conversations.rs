//! Sessions and turns.

use harombe_error::{Code, Reason};
use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use harombe_types::{InstanceId, SessionId, SystemClock, WorkspaceId};
use tonic::Request;

use crate::rig::{Rig, TestRun, answer, finished, refused, said};

pub(crate) async fn turn(
    rig: &Rig,
    session: SessionId,
    message: &str,
    question: &str,
    reply: &str,
) -> TestRun {
    let run = rig.run_in(session);
    let begun = rig.begin(&run, message, question).await.expect("begin");
    rig.finish(&run, begun.lease.expect("lease").epoch, reply)
        .await
        .expect("finish");
    run
}

fn texts(turns: &[pb::Turn]) -> Vec<Vec<&str>> {
    turns
        .iter()
        .map(|turn| {
            turn.messages
                .iter()
                .map(|message| message.text.as_str())
                .collect()
        })
        .collect()
}

#[tokio::test]
async fn a_turn_becomes_part_of_the_session() {
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    let run = rig.run_in(session);
    let begun = rig.begin(&run, "m1", "what is 1+1?").await.expect("begin");
    assert_eq!(
        (begun.run_id.as_str(), begun.existing, begun.cursor),
        (run.run.to_string().as_str(), false, 1)
    );
    assert_eq!(
        rig.session(session).await.expect("session").active_run_id,
        run.run.to_string()
    );

    let cursor = rig
        .finish(&run, begun.lease.expect("lease").epoch, "2")
        .await
        .expect("finish");
    assert_eq!(cursor, 2);
    let kept = rig.session(session).await.expect("session");
    assert_eq!((kept.turns, kept.active_run_id.as_str()), (1, ""));
    assert_eq!(
        rig.get_run(run.run).await.expect("run").state(),
        pb::RunState::Finished
    );

    let request = pb::ListMessagesRequest {
        session_id: session.to_string(),
        limit: 0,
    };
    let request = Request::new(request).with_token(rig.ann());
    let listed = answer(rig.as_gateway().conversations.list_messages(request).await).expect("messages");
    assert_eq!(texts(&listed.turns), [["what is 1+1?", "2"]]);
}

#[tokio::test]
async fn history_is_the_newest_whole_turns_within_the_budget() {
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    for n in 0..4 {
        turn(
            &rig,
            session,
            &format!("m{n}"),
            &format!("q{n}"),
            &format!("a{n}"),
        )
        .await;
    }
    let run = rig.run_in(session);
    rig.begin(&run, "now", "the open turn is not history")
        .await
        .expect("begin");
    // two messages of two bytes, as they are encoded
    const TURN: u32 = 12;
    let all = rig.history(&run, 4 * TURN).await;
    assert_eq!(
        texts(&all.turns),
        [["q0", "a0"], ["q1", "a1"], ["q2", "a2"], ["q3", "a3"]]
    );
    assert_eq!(all.turns_left_out, 0);
    let some = rig.history(&run, 3 * TURN - 1).await;
    assert_eq!(texts(&some.turns), [["q2", "a2"], ["q3", "a3"]]);
    assert_eq!(some.turns_left_out, 2);
    let none = rig.history(&run, TURN - 1).await;
    assert_eq!((none.turns.len(), none.turns_left_out), (0, 4));
}

#[tokio::test]
async fn a_failed_turn_is_listed_but_no_history() {
    let rig = Rig::new().await;
    let (session, run, begun) = rig.begun().await;
    let request = pb::FinishTurnRequest {
        epoch: begun.lease.expect("lease").epoch,
        messages: vec![],
        entries: vec![finished()],
        state: pb::RunState::Failed.into(),
        ..pb::FinishTurnRequest::default()
    };
    answer(
        rig.as_runtime()
            .conversations
            .finish_turn(run.request(request))
            .await,
    )
    .expect("finish");
    let next = rig.run_in(session);
    rig.begin(&next, "m2", "again")
        .await
        .expect("the session is free");
    assert!(rig.history(&next, 1000).await.turns.is_empty());
    assert_eq!(rig.session(session).await.expect("session").turns, 0);
    let request = pb::ListMessagesRequest {
        session_id: session.to_string(),
        limit: 0,
    };
    let request = Request::new(request).with_token(rig.ann());
    let listed = answer(rig.as_gateway().conversations.list_messages(request).await).expect("messages");
    assert_eq!(texts(&listed.turns), [["hello"], ["again"]]);
}

#[tokio::test]
async fn a_session_has_one_active_run() {
    let rig = Rig::new().await;
    let (session, first, begun) = rig.begun().await;
    let second = rig.run_in(session);
    refused(
        rig.begin(&second, "m2", "me too").await,
        Code::FailedPrecondition,
        Reason::SessionBusy,
    );
    rig.finish(&first, begun.lease.expect("lease").epoch, "done")
        .await
        .expect("finish");
    rig.begin(&second, "m2", "me too").await.expect("free now");
}

#[tokio::test]
async fn of_many_who_begin_at_once_one_wins() {
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    let runs: Vec<TestRun> = (0..20).map(|_| rig.run_in(session)).collect();
    let tries = runs.iter().enumerate().map(|(n, run)| {
        let (rig, id) = (&rig, format!("m{n}"));
        async move { rig.begin(run, &id, "x").await }
    });
    let results = futures_util::future::join_all(tries).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for result in results.into_iter().filter(Result::is_err) {
        refused(result, Code::FailedPrecondition, Reason::SessionBusy);
    }
}

#[tokio::test]
async fn a_message_begins_one_run_only() {
    let rig = Rig::new().await;
    let (session, first, begun) = rig.begun().await;
    // the client lost its answer and sends the message again: another run, another token
    let again = rig
        .begin(&rig.run_in(session), "m1", "hello")
        .await
        .expect("answer");
    assert!(again.existing && again.lease.is_none());
    assert_eq!(again.run_id, first.run.to_string());
    let epoch = begun.lease.expect("lease").epoch;
    rig.finish(&first, epoch, "done").await.expect("finish");
    let later = rig
        .begin(&rig.run_in(session), "m1", "hello")
        .await
        .expect("answer");
    assert!(later.existing && later.run_id == first.run.to_string());
}

#[tokio::test]
async fn beginning_the_same_run_again_fences_the_first() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let first = begun.lease.expect("lease").epoch;
    let again = rig.begin(&run, "m1", "hello").await.expect("answer");
    let second = again.lease.expect("a lease again").epoch;
    assert!(!again.existing && second > first);
    refused(
        rig.append(&run, first, 1, vec![finished()]).await,
        Code::FailedPrecondition,
        Reason::LeaseLost,
    );
    rig.append(&run, second, 1, vec![finished()])
        .await
        .expect("append");
    // the run has moved: whoever comes now joins it
    assert!(rig.begin(&run, "m1", "hello").await.expect("answer").existing);
}

const FOREIGNERS: [(&str, &str); 2] = [("acme", "bob"), ("evil", "ann")];

#[tokio::test]
async fn anothers_sessions_do_not_exist() {
    let rig = Rig::new().await;
    let session_id = rig.new_session().await.to_string();
    for (tenant, subject) in FOREIGNERS {
        let token = || rig.person(tenant, subject);
        let mut gateway = rig.as_gateway().conversations;
        let get = pb::GetSessionRequest {
            session_id: session_id.clone(),
        };
        let got = gateway.get_session(Request::new(get).with_token(token())).await;
        refused(answer(got), Code::NotFound, Reason::NotFound);
        let delete = pb::DeleteSessionRequest {
            session_id: session_id.clone(),
        };
        let deleted = gateway
            .delete_session(Request::new(delete).with_token(token()))
            .await;
        refused(answer(deleted), Code::NotFound, Reason::NotFound);
        let list = pb::ListMessagesRequest {
            session_id: session_id.clone(),
            limit: 0,
        };
        let listed = gateway
            .list_messages(Request::new(list).with_token(token()))
            .await;
        refused(answer(listed), Code::NotFound, Reason::NotFound);
        let after = pb::ListSessionsRequest {
            limit: 0,
            after_session_id: session_id.clone(),
        };
        let paged = gateway
            .list_sessions(Request::new(after).with_token(token()))
            .await;
        refused(answer(paged), Code::NotFound, Reason::NotFound);
        let all = Request::new(pb::ListSessionsRequest::default()).with_token(token());
        let all = answer(gateway.list_sessions(all).await).expect("list");
        assert!(all.sessions.is_empty());
    }
}

#[tokio::test]
async fn anothers_runs_do_not_exist() {
    let rig = Rig::new().await;
    let (session, run, _) = rig.begun().await;
    for (tenant, subject) in FOREIGNERS {
        let token = || rig.person(tenant, subject);
        let mut gateway = rig.as_gateway().journal;
        let run_id = run.run.to_string();
        let get = Request::new(pb::GetRunRequest {
            run_id: run_id.clone(),
        })
        .with_token(token());
        refused(
            answer(gateway.get_run(get).await),
            Code::NotFound,
            Reason::NotFound,
        );
        let watch = pb::WatchRequest {
            run_id,
            after_cursor: 0,
        };
        let watched = gateway.watch(Request::new(watch).with_token(token())).await;
        refused(answer(watched).map(drop), Code::NotFound, Reason::NotFound);

        let theirs = rig.run_of(tenant, subject, session, run.run);
        refused(
            rig.begin(&theirs, "m9", "x").await,
            Code::NotFound,
            Reason::NotFound,
        );
        let appended = rig.append(&theirs, 1, 1, vec![finished()]).await;
        refused(appended, Code::NotFound, Reason::NotFound);
        refused(
            rig.finish(&theirs, 1, "x").await,
            Code::NotFound,
            Reason::NotFound,
        );
    }
}

#[tokio::test]
async fn another_subject_cannot_take_a_session_id() {
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    let request = |agent: &str| pb::CreateSessionRequest {
        session_id: session.to_string(),
        agent: agent.into(),
    };
    let mut gateway = rig.as_gateway().conversations;
    let theirs = Request::new(request("default")).with_token(rig.person("acme", "bob"));
    refused(
        answer(gateway.create_session(theirs).await),
        Code::NotFound,
        Reason::NotFound,
    );
    let again = Request::new(request("default")).with_token(rig.ann());
    answer(gateway.create_session(again).await).expect("creating again is harmless");
    let other = Request::new(request("other")).with_token(rig.ann());
    refused(
        answer(gateway.create_session(other).await),
        Code::InvalidArgument,
        Reason::InvalidArgument,
    );
    // an id is unique in its tenant only
    let elsewhere = Request::new(request("default")).with_token(rig.person("globex", "ann"));
    answer(gateway.create_session(elsewhere).await).expect("another tenant");
}

#[tokio::test]
async fn sessions_are_listed_by_their_last_update() {
    let rig = Rig::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        rig.clock.advance(std::time::Duration::from_secs(1));
        ids.push(rig.new_session().await);
    }
    rig.clock.advance(std::time::Duration::from_secs(1));
    turn(&rig, ids[1], "m1", "q", "a").await;
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let request = pb::ListSessionsRequest {
            limit: 2,
            after_session_id: after.clone(),
        };
        let request = Request::new(request).with_token(rig.ann());
        let page = answer(rig.as_gateway().conversations.list_sessions(request).await)
            .expect("page")
            .sessions;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.session_id);
        seen.extend(page.into_iter().map(|session| session.session_id));
    }
    let expected: Vec<String> = [1, 4, 3, 2, 0].iter().map(|n| ids[*n].to_string()).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_first_workspace_stays() {
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    let run = rig.run_in(session);
    let workspace = || WorkspaceId::generate(InstanceId::generate(&SystemClock), &SystemClock).to_string();
    let (first, second) = (workspace(), workspace());
    for offered in [&first, &second] {
        let request = run.request(pb::AttachWorkspaceRequest {
            workspace_id: offered.clone(),
        });
        let bound = answer(rig.as_runtime().conversations.attach_workspace(request).await).expect("attach");
        assert_eq!(bound.workspace_id, first);
    }
    assert_eq!(rig.session(session).await.expect("session").workspace_id, first);
    assert_eq!(rig.history(&run, 10).await.workspace_id, first);
}

#[tokio::test]
async fn a_restart_loses_nothing() {
    let rig = Rig::new().await;
    let (session, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    let rig = rig.restart().await;
    let (header, entries) = rig.read(&run).await;
    assert_eq!(
        (header.text.as_str(), header.client_message_id.as_str()),
        ("hello", "m1")
    );
    assert_eq!(entries.len(), 1);
    rig.finish(&run, epoch, "done")
        .await
        .expect("the lease is still good");
    let rig = rig.restart().await;
    assert_eq!(rig.session(session).await.expect("session").turns, 1);
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    let run = rig.run_in(session);
    let invalid = |result: Result<pb::BeginTurnResponse, _>| {
        refused(result, Code::InvalidArgument, Reason::InvalidArgument)
    };
    assert!(invalid(rig.begin(&run, "m1", &"x".repeat(1024 * 1024 + 1)).await).contains("1 MiB"));
    invalid(rig.begin(&run, "m1", "").await);
    invalid(rig.begin(&run, "", "x").await);
    invalid(rig.begin(&run, &"x".repeat(129), "x").await);
    for id in ["", "x", "01890A5D-AC96-774B-BCCE-B302099A8057"] {
        let request = Request::new(pb::GetSessionRequest {
            session_id: id.into(),
        })
        .with_token(rig.ann());
        let result = answer(rig.as_gateway().conversations.get_session(request).await);
        refused(result, Code::InvalidArgument, Reason::InvalidArgument);
    }
    let request = Request::new(pb::ListSessionsRequest {
        limit: 1001,
        ..Default::default()
    })
    .with_token(rig.ann());
    let result = answer(rig.as_gateway().conversations.list_sessions(request).await);
    refused(result, Code::InvalidArgument, Reason::InvalidArgument);
    let unknown = rig.run_in(SessionId::generate(&SystemClock));
    refused(
        rig.begin(&unknown, "m1", "x").await,
        Code::NotFound,
        Reason::NotFound,
    );

    let begun = rig.begin(&run, "m1", "x").await.expect("begin");
    let epoch = begun.lease.expect("lease").epoch;
    for (messages, state) in [
        (vec![said(pb::Author::User, "not mine")], pb::RunState::Finished),
        (vec![], pb::RunState::Active),
        (vec![], pb::RunState::Unspecified),
        (
            vec![said(pb::Author::Assistant, &"x".repeat(3 * 1024 * 1024))],
            pb::RunState::Finished,
        ),
    ] {
        let request = pb::FinishTurnRequest {
            epoch,
            messages,
            entries: vec![],
            state: state.into(),
            ..pb::FinishTurnRequest::default()
        };
        let result = answer(
            rig.as_runtime()
                .conversations
                .finish_turn(run.request(request))
                .await,
        );
        refused(result, Code::InvalidArgument, Reason::InvalidArgument);
    }
    // a run id belongs to one message
    rig.finish(&run, epoch, "ok").await.expect("finish");
    let reused = rig.run_of("acme", "ann", session, run.run);
    invalid(rig.begin(&reused, "m2", "x").await);
}

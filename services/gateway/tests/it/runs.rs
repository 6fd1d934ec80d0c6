use std::time::Duration;

use harombe_error::{Code, Reason};
use harombe_proto::agent::v1::{CallToolRequest, CancelRunRequest, GetRunRequest, RunState, WatchRunRequest};
use harombe_proto::types::v1::run_event::Event;
use harombe_testkit::NOW;
use harombe_types::{Principal, RunId, ServiceName, SessionId};

use crate::world::{INVALID, NOT_FOUND, WALL, World, events, refused};

#[tokio::test]
async fn a_message_begins_a_run_whose_events_come_back() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let events = events(world.send(&session, "1", "hello").await.unwrap()).await;
    let (_, run) = world.runtime.last_seen();
    assert_eq!(
        (run.tenant.as_str(), run.subject.as_str(), run.agent.as_str()),
        ("local", "owner", "default")
    );
    assert_eq!(run.session.to_string(), session);
    assert!(events.iter().all(|event| event.run_id == run.run.to_string()));
    assert!(matches!(events[0].event, Some(Event::RunStarted(_))));
    assert!(matches!(events[1].event, Some(Event::TextDelta(_))));
    assert!(matches!(
        events.last().unwrap().event,
        Some(Event::RunFinished(_))
    ));

    let mut agent = world.agent.clone();
    let run_id = run.run.to_string();
    let found = agent
        .get_run(GetRunRequest {
            run_id: run_id.clone(),
        })
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    assert_eq!(
        (found.state(), found.cursor, found.session_id),
        (RunState::Finished, 3, session)
    );
    let mut watched = agent
        .watch_run(WatchRunRequest {
            run_id,
            after_cursor: 1,
        })
        .await
        .unwrap()
        .into_inner();
    let mut cursors = Vec::new();
    while let Some(message) = watched.message().await.unwrap() {
        cursors.push(message.event.unwrap().cursor);
    }
    assert_eq!(cursors, [2, 3]);
}

#[tokio::test]
async fn the_same_message_again_joins_the_run_that_it_began() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let first = events(world.send(&session, "1", "hello").await.unwrap()).await;
    let again = events(world.send(&session, "1", "hello").await.unwrap()).await;
    let journalled: Vec<_> = again
        .iter()
        .map(|event| (event.run_id.clone(), event.cursor))
        .collect();
    let run = first[0].run_id.clone();
    assert_eq!(journalled, [(run.clone(), 1), (run.clone(), 2), (run, 3)]);
}

#[tokio::test]
async fn when_the_node_dies_the_journal_goes_on() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let stream = world.send(&session, "1", "die").await.unwrap();
    let run = world.runtime.last_seen().1.run.to_string();
    let (events, ()) = tokio::join!(events(stream), world.runtime.finish(&run));
    let cursors: Vec<_> = events.iter().map(|event| event.cursor).collect();
    assert_eq!(cursors, [1, 1, 2, 3]);
}

#[tokio::test]
async fn a_client_that_goes_away_stops_nothing() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    drop(world.send(&session, "1", "wait").await.unwrap());
    let run_id = world.runtime.last_seen().1.run.to_string();
    let mut agent = world.agent.clone();
    let run = agent
        .get_run(GetRunRequest {
            run_id: run_id.clone(),
        })
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    assert_eq!(run.state(), RunState::Active);
    let mut watched = agent
        .watch_run(WatchRunRequest {
            run_id: run_id.clone(),
            after_cursor: 1,
        })
        .await
        .unwrap();
    world.runtime.finish(&run_id).await;
    let next = watched.get_mut().message().await.unwrap().unwrap().event.unwrap();
    assert_eq!(next.cursor, 2);
}

#[tokio::test]
async fn a_run_is_cancelled_in_its_own_name() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    drop(world.send(&session, "1", "wait").await.unwrap());
    let begun = world.runtime.last_seen().1;
    let cancel = CancelRunRequest {
        run_id: begun.run.to_string(),
    };
    world.agent.clone().cancel_run(cancel).await.unwrap();
    let (reason, cancelled) = world.runtime.last_seen();
    assert_eq!((reason.as_str(), cancelled), ("cancelled by owner", begun));
}

#[tokio::test]
async fn bad_messages_go_nowhere() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let long = "x".repeat(1024 * 1024 + 1);
    for (session, id, text) in [
        ("x", "1", "hello"),
        ("", "1", "hello"),
        (&*session, "", "hello"),
        (&*session, &*"i".repeat(129), "hello"),
        (&*session, "a\u{0}", "hello"),
        (&*session, "1", ""),
        (&*session, "1", &*long),
    ] {
        assert_eq!(refused(world.send(session, id, text)).await, INVALID, "{id:?}");
    }
    let huge = refused(world.send(&session, "1", &"x".repeat(10 * 1024 * 1024))).await;
    assert!(
        matches!(huge.0, Code::InvalidArgument | Code::ResourceExhausted),
        "{huge:?}"
    );
    let unknown = SessionId::generate(&*world.clock).to_string();
    assert_eq!(refused(world.send(&unknown, "1", "hello")).await, NOT_FOUND);
    assert!(world.runtime.seen.lock().is_empty());
}

#[tokio::test]
async fn unknown_runs_are_not_found() {
    let world = World::new().await;
    let mut agent = world.agent.clone();
    for (run_id, expected) in [
        ("x".to_owned(), INVALID),
        (RunId::generate(&*world.clock).to_string(), NOT_FOUND),
    ] {
        let get = GetRunRequest {
            run_id: run_id.clone(),
        };
        assert_eq!(refused(agent.get_run(get)).await, expected);
        let cancel = CancelRunRequest {
            run_id: run_id.clone(),
        };
        assert_eq!(refused(agent.cancel_run(cancel)).await, expected);
        let watch = WatchRunRequest {
            run_id,
            after_cursor: 0,
        };
        let watched = async { agent.watch_run(watch).await?.into_inner().message().await };
        assert_eq!(refused(watched).await, expected);
    }
}

#[tokio::test]
async fn failures_are_passed_on_with_their_reason_and_without_their_inside() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let failure = refused(world.send(&session, "1", "refuse")).await;
    assert_eq!(failure, (Code::ResourceExhausted, Reason::ModelRefused));

    let mut stream = world.send(&session, "2", "fail").await.unwrap();
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream was to fail"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), tonic::Code::Internal);
    assert!(!status.message().contains("secret"), "{}", status.message());
}

#[tokio::test]
async fn a_tool_is_called_in_a_run_of_its_own() {
    let world = World::new().await;
    let session_id = world.session().await.session_id;
    let call = CallToolRequest {
        session_id: session_id.clone(),
        tool: "file_list".to_owned(),
        arguments: "{}".to_owned(),
    };
    let mut agent = world.agent.clone();
    let event = agent
        .call_tool(call.clone())
        .await
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap()
        .event
        .unwrap();
    assert!(matches!(event.event, Some(Event::ToolFinished(_))));
    let (tool, run) = world.runtime.last_seen();
    assert_eq!(
        (tool.as_str(), run.session.to_string()),
        ("file_list", session_id)
    );
    let elsewhere = CallToolRequest {
        session_id: SessionId::generate(&*world.clock).to_string(),
        ..call
    };
    assert_eq!(refused(agent.call_tool(elsewhere)).await, NOT_FOUND);
}

#[tokio::test]
async fn a_runs_token_ends_at_the_wall_limit_and_has_no_persons_power() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    drop(world.send(&session, "1", "wait").await.unwrap());
    let token = world.runtime.open.lock().clone().unwrap().0;
    let at = |offset| {
        world
            .pki
            .verifier()
            .verify(&token, ServiceName::Hitl, NOW.plus(offset))
    };
    assert!(matches!(
        at(WALL.saturating_sub(Duration::from_secs(1))),
        Ok(Principal::Run(_))
    ));
    assert!(at(WALL).is_err());
    assert!(
        world
            .pki
            .verifier()
            .verify(&token, ServiceName::Audit, NOW)
            .is_err()
    );
}

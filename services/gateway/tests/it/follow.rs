//! A run's events reach whoever asked for them, whatever becomes of the node that drives it and of the way to the journal.

use harombe_error::{Code, Reason};
use harombe_proto::agent::v1::WatchRunRequest;
use harombe_proto::types::v1::RunEvent;
use harombe_proto::types::v1::run_event::Event;

use crate::world::{LIMIT, World, events, refused};

const RUN: &str = "/harombe.runtime.v1.RuntimeService/Run";
const WATCH: &str = "/harombe.memory.v1.RunJournalService/Watch";
const LOST: (Code, Reason) = (Code::Unavailable, Reason::Unavailable);

fn cursors(events: &[RunEvent]) -> Vec<u64> {
    events.iter().map(|event| event.cursor).collect()
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_is_not_the_only_one() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    world.flaky.lose(RUN, 3);
    let events = events(world.send(&session, "1", "hello").await.unwrap()).await;
    assert_eq!(cursors(&events), [1, 1, 2, 3]);
    // One run, however often it was asked for.
    assert_eq!(world.runtime.seen.lock().len(), 1);
}

#[tokio::test]
async fn a_node_that_goes_away_before_its_first_word_is_asked_again() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let stream = world.send(&session, "1", "mute").await.unwrap();
    let runs: Vec<_> = world.runtime.seen.lock().iter().map(|(_, run)| run.run).collect();
    let run = runs[0].to_string();
    let (events, ()) = tokio::join!(events(stream), world.runtime.finish(&run));
    assert_eq!(cursors(&events), [1, 2, 3]);
    // The same run, begun once.
    let runs: Vec<_> = world.runtime.seen.lock().iter().map(|(_, run)| run.run).collect();
    assert_eq!(runs, [runs[0]; 2]);
}

#[tokio::test]
async fn a_node_that_lost_its_lease_has_handed_the_run_over() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let stream = world.send(&session, "1", "lease").await.unwrap();
    let run = world.runtime.last_seen().1.run.to_string();
    let (events, ()) = tokio::join!(events(stream), world.runtime.finish(&run));
    assert_eq!(cursors(&events), [1, 1, 2, 3]);
}

#[tokio::test]
async fn the_journal_is_asked_again_from_where_it_was() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let stream = world.send(&session, "1", "die").await.unwrap();
    let run_id = world.runtime.last_seen().1.run.to_string();
    world.flaky.lose(WATCH, 3);
    let (events, ()) = tokio::join!(events(stream), world.runtime.finish(&run_id));
    assert_eq!(cursors(&events), [1, 1, 2, 3]);

    world.flaky.lose(WATCH, 2);
    let watch = WatchRunRequest {
        run_id,
        after_cursor: 1,
    };
    let mut watched = world.agent.clone().watch_run(watch).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(message) = watched.message().await.unwrap() {
        seen.push(message.event.unwrap());
    }
    assert_eq!(cursors(&seen), [2, 3]);
    assert!(matches!(seen.last().unwrap().event, Some(Event::RunFinished(_))));
}

#[tokio::test]
async fn whoever_does_not_come_back_is_given_up() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    world.flaky.lose(RUN, 1000);
    assert_eq!(refused(world.send(&session, "1", "hello")).await, LOST);
    assert!(world.flaky.left(RUN) > 900);
    // And nothing was begun: the session is free.
    world.flaky.lose(RUN, 0);
    let events = events(world.send(&session, "1", "hello").await.unwrap()).await;
    assert_eq!(cursors(&events), [1, 1, 2, 3]);
}

#[tokio::test]
async fn what_a_node_refuses_is_refused_at_once() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let answer = refused(world.send(&session, "1", "unrecorded")).await;
    assert_eq!(answer, (Code::Unavailable, Reason::AuditUnavailable));
    assert_eq!(world.runtime.seen.lock().len(), 1);
    // nor is another node asked whether a person may have more runs
    assert_eq!(refused(world.send(&session, "2", "full everywhere")).await, LIMIT);
    assert_eq!(world.runtime.seen.lock().len(), 2);
}

#[tokio::test]
async fn a_node_without_room_is_not_the_only_one() {
    let world = World::new().await;
    let session = world.session().await.session_id;
    let events = events(world.send(&session, "1", "full at first").await.unwrap()).await;
    assert_eq!(cursors(&events), [1, 1, 2, 3]);
    assert_eq!(world.runtime.seen.lock().len(), 2);

    // Where none has room, whoever asked hears so.
    assert_eq!(refused(world.send(&session, "2", "full")).await, LIMIT);
}

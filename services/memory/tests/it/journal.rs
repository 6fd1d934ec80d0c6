//! What is written of a run, and how those who watch learn of it.

use harombe_error::{Code, Reason};
use harombe_proto::memory::v1 as pb;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, TextDelta};
use harombe_rpc::RequestExt as _;
use harombe_types::RunId;
use tonic::{Request, Streaming};

use crate::rig::{Rig, entry, finished, refused, text};

async fn watch(rig: &Rig, run: RunId, after_cursor: u64) -> Streaming<pb::WatchResponse> {
    let request = pb::WatchRequest {
        run_id: run.to_string(),
        after_cursor,
    };
    let request = Request::new(request).with_token(rig.ann());
    rig.as_gateway()
        .journal
        .watch(request)
        .await
        .expect("watch")
        .into_inner()
}

async fn drain(mut stream: Streaming<pb::WatchResponse>) -> Vec<RunEvent> {
    let mut events = Vec::new();
    while let Some(answer) = stream.message().await.expect("event") {
        events.push(answer.event.expect("event"));
    }
    events
}

/// All events of an ended run behind a cursor.
pub(crate) async fn watched(rig: &Rig, run: RunId, after_cursor: u64) -> Vec<RunEvent> {
    drain(watch(rig, run, after_cursor).await).await
}

#[tokio::test]
async fn entries_get_their_place_and_are_read_back() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    let private = pb::JournalEntry {
        state: b"private".to_vec().into(),
        ..pb::JournalEntry::default()
    };
    let appended = rig
        .append(&run, epoch, 1, vec![entry("one"), private])
        .await
        .expect("append");
    assert_eq!((appended.cursor, appended.cancel_requested), (3, false));

    let (header, entries) = rig.read(&run).await;
    assert_eq!(header.state(), pb::RunState::Active);
    let cursors: Vec<u64> = entries.iter().map(|entry| entry.cursor).collect();
    assert_eq!(cursors, [1, 2, 3]);
    let event = entries[1].event.as_ref().expect("event");
    assert_eq!(
        (event.run_id.as_str(), event.cursor),
        (run.run.to_string().as_str(), 2)
    );
    assert!(event.time.is_some());
    assert_eq!(entries[1].state.as_ref(), b"one");
    assert!(entries[2].event.is_none());
    assert_eq!(entries[2].state.as_ref(), b"private");
}

#[tokio::test]
async fn repeating_an_append_changes_nothing() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    let entries = || vec![entry("one"), entry("two")];
    let first = rig.append(&run, epoch, 1, entries()).await.expect("append");
    rig.clock.advance(std::time::Duration::from_secs(1));
    let again = rig.append(&run, epoch, 1, entries()).await.expect("repetition");
    assert_eq!(first, again);
    assert_eq!(rig.read(&run).await.1.len(), 3);
    // other entries at the same place, too few, and a place that is not there yet
    for (expected, entries) in [
        (1, vec![entry("one"), entry("2")]),
        (1, vec![entry("one")]),
        (9, entries()),
        (0, entries()),
    ] {
        let result = rig.append(&run, epoch, expected, entries).await;
        refused(result, Code::FailedPrecondition, Reason::InvalidArgument);
    }
    refused(
        rig.append(&run, epoch, 3, vec![]).await,
        Code::InvalidArgument,
        Reason::InvalidArgument,
    );
    let delta = Event::TextDelta(TextDelta::default());
    let delta = RunEvent {
        event: Some(delta),
        ..RunEvent::default()
    };
    let delta = pb::JournalEntry {
        event: Some(delta),
        ..pb::JournalEntry::default()
    };
    refused(
        rig.append(&run, epoch, 3, vec![delta]).await,
        Code::InvalidArgument,
        Reason::InvalidArgument,
    );
}

#[tokio::test]
async fn finishing_again_answers_the_same() {
    let rig = Rig::new().await;
    let (session, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    let first = rig.finish(&run, epoch, "done").await.expect("finish");
    assert_eq!(rig.finish(&run, epoch, "done").await.expect("again"), first);
    assert_eq!(rig.session(session).await.expect("session").turns, 1);
    refused(
        rig.append(&run, epoch, first, vec![entry("x")]).await,
        Code::FailedPrecondition,
        Reason::LeaseLost,
    );
    refused(
        rig.finish(&run, epoch + 1, "x").await,
        Code::FailedPrecondition,
        Reason::LeaseLost,
    );
}

#[tokio::test]
async fn a_watcher_sees_what_was_and_what_comes_until_the_end() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    let mut stream = watch(&rig, run.run, 0).await;
    let first = stream
        .message()
        .await
        .expect("event")
        .expect("event")
        .event
        .expect("event");
    assert_eq!((text(&first), first.cursor), ("begun", 1));
    // nothing more is there: the watcher waits, and is woken by the append
    let waiting = tokio::spawn(async move {
        let next = stream
            .message()
            .await
            .expect("event")
            .expect("event")
            .event
            .expect("event");
        (next, stream)
    });
    rig.append(&run, epoch, 1, vec![entry("two")])
        .await
        .expect("append");
    let (second, stream) = waiting.await.expect("watcher");
    assert_eq!((text(&second), second.cursor), ("two", 2));
    let rest = tokio::spawn(drain(stream));
    rig.finish(&run, epoch, "done").await.expect("finish");
    let rest = rest.await.expect("watcher");
    assert!(matches!(
        rest.as_slice(),
        [RunEvent {
            event: Some(Event::RunFinished(_)),
            cursor: 3,
            ..
        }]
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_miss_nothing_and_see_nothing_twice() {
    const ENTRIES: u64 = 200;
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    let mut watchers = Vec::new();
    for after in [0, 0, 1, 50] {
        watchers.push((after, tokio::spawn(drain(watch(&rig, run.run, after).await))));
    }
    for cursor in 1..ENTRIES {
        rig.append(&run, epoch, cursor, vec![entry("x")])
            .await
            .expect("append");
    }
    let last = rig.finish(&run, epoch, "done").await.expect("finish");
    assert_eq!(last, ENTRIES + 1);
    for (after, watcher) in watchers {
        let cursors: Vec<u64> = watcher
            .await
            .expect("watcher")
            .into_iter()
            .map(|event| event.cursor)
            .collect();
        assert_eq!(cursors, (after + 1..=last).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_run_that_has_ended_is_told_from_any_cursor() {
    let rig = Rig::new().await;
    let (_, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    let many: Vec<pb::JournalEntry> = (0..200)
        .map(|n| entry(&n.to_string()))
        .chain([finished()])
        .collect();
    rig.append(&run, epoch, 1, many).await.expect("append");
    rig.finish(&run, epoch, "done").await.expect("finish");
    assert_eq!(watched(&rig, run.run, 0).await.len(), 203);
    assert_eq!(watched(&rig, run.run, 202).await.len(), 1);
    assert!(watched(&rig, run.run, 203).await.is_empty());
    assert!(watched(&rig, run.run, u64::MAX).await.is_empty());
}

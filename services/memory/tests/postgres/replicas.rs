//! Two processes on one Postgres are one memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use harombe_proto::memory::v1 as pb;
use harombe_proto::types::v1::run_event::Event;
use harombe_rpc::RequestExt as _;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tonic::Request;

use crate::person::saved;
use crate::rig::{LEASE, Rig, answer, entry, start};

/// A second process beside `one`; each may go without the other.
pub(crate) async fn replica(one: &Rig) -> Rig {
    let (service, metrics) = start(
        &one.config,
        &one.clock,
        &one.identity,
        one.directory.path(),
        (&one.sink, &one.trails),
    )
    .await;
    Rig {
        sink: one.sink.clone(),
        trails: one.trails.clone(),
        clock: Arc::clone(&one.clock),
        service,
        metrics,
        minter: one.minter.clone(),
        identity: one.identity.clone(),
        directory: Arc::clone(&one.directory),
        config: one.config.clone(),
    }
}

#[tokio::test]
async fn who_watches_at_one_sees_what_is_written_at_the_other() {
    let one = Rig::new().await;
    let other = replica(&one).await;
    let (_, run, begun) = one.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    let request = pb::WatchRequest {
        run_id: run.run.to_string(),
        after_cursor: 0,
    };
    let watch = Request::new(request).with_token(other.ann());
    let mut events = other
        .as_gateway()
        .journal
        .watch(watch)
        .await
        .expect("watch")
        .into_inner();
    let mut cursors = Vec::new();
    for cursor in 1..=5 {
        let seen = events.message().await.expect("event").expect("event");
        cursors.push(seen.event.expect("event").cursor);
        one.append(&run, epoch, cursor, vec![entry("more")])
            .await
            .expect("append");
    }
    one.finish(&run, epoch, "done").await.expect("finish");
    let mut last = None;
    while let Some(seen) = events.message().await.expect("event") {
        let event = seen.event.expect("event");
        cursors.push(event.cursor);
        last = event.event;
    }
    assert_eq!(cursors, (1..=7).collect::<Vec<u64>>());
    assert!(matches!(last, Some(Event::RunFinished(_))), "{last:?}");
}

#[tokio::test]
async fn what_no_hint_tells_is_seen_all_the_same() {
    let one = Rig::new().await;
    let other = replica(&one).await;
    let (_, run, begun) = one.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    let request = pb::WatchRequest {
        run_id: run.run.to_string(),
        after_cursor: 0,
    };
    let watch = Request::new(request).with_token(other.ann());
    let opened = other.as_gateway().journal.watch(watch).await;
    let mut events = opened.expect("watch").into_inner();
    let store = one.config.store.postgres.as_ref().expect("postgres");
    let mut admin = PgConnection::connect(&store.url).await.expect("connection");
    for cursor in 1..=4 {
        let seen = events.message().await.expect("event").expect("event");
        assert_eq!(seen.event.expect("event").cursor, cursor);
        // whoever listens loses its connection, and hears nothing until it has another
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        .execute(&mut admin)
        .await
        .expect("terminated");
        one.append(&run, epoch, cursor, vec![entry("more")])
            .await
            .expect("append");
    }
}

#[tokio::test]
async fn runs_of_a_process_that_is_gone_go_on_at_another() {
    let one = Rig::new().await;
    let other = replica(&one).await;
    let mut begun = BTreeSet::new();
    for _ in 0..12 {
        let (_, run, _) = one.begun().await;
        begun.insert(run.run.to_string());
    }
    let clock = one.clock.clone();
    clock.advance(LEASE);
    let claim = async |rig: &Rig| {
        let request = Request::new(pb::ClaimExpiredRequest { limit: 0 });
        answer(rig.as_runtime().journal.claim_expired(request).await)
            .expect("claim")
            .runs
    };
    let (here, there) = tokio::join!(claim(&one), claim(&other));
    assert_eq!(here.len() + there.len(), begun.len());
    let claimed: BTreeSet<String> = here.into_iter().chain(there).map(|run| run.run_id).collect();
    assert_eq!(claimed, begun);
    one.service.shutdown(std::time::Duration::from_secs(5)).await;
    clock.advance(LEASE);
    assert_eq!(claim(&other).await.len(), begun.len());
}

#[tokio::test]
async fn a_wish_to_stop_at_one_reaches_the_driver_at_the_other() {
    let one = Rig::new().await;
    let other = replica(&one).await;
    let (_, run, begun) = one.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    let cancel = run.request(pb::RequestCancelRequest {
        reason: "enough".to_owned(),
    });
    answer(other.as_runtime().journal.request_cancel(cancel).await).expect("cancel");
    assert!(crate::leases::renew(&one, &run, epoch).await.cancel_requested);
}

/// Their index at a process is theirs, whatever another process does.
#[tokio::test]
async fn who_is_erased_at_one_is_not_found_at_the_other() {
    let one = Rig::new().await;
    let other = replica(&one).await;
    let ann = one.ann();
    for text in ["an old boat", "an old oar", "an old net"] {
        saved(&one, &ann, text).await;
    }
    assert_eq!(other.search(&ann, "old boat").await[0], "an old boat");
    let erased = one.erase_person(&one.admin("acme"), "ann").await.expect("erased");
    assert_eq!((erased.memories, erased.more), (3, false));
    assert!(other.search(&ann, "old boat").await.is_empty());
    // fewer than there were
    saved(&one, &ann, "a new boat").await;
    assert_eq!(other.search(&ann, "boat").await, ["a new boat"]);
}

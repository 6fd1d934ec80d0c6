//! Two processes on one Postgres are one hitl.

use std::sync::Arc;
use std::time::Duration;

use harombe_error::Reason;
use harombe_hitl::Config;
use harombe_proto::types::v1::Decision;
use harombe_sql::StoreConfig;
use harombe_testkit::postgres::Database;
use harombe_trail::Kind;
use harombe_types::{Clock as _, ManualClock, Timestamp};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tonic::Status;

use crate::world::{BROKER, World, approver, reason, until_decided};

/// Two processes, and what keeps their database.
pub(crate) async fn two() -> (Database, World, World) {
    let database = Database::create().await;
    let store = StoreConfig {
        postgres: Some(database.config()),
    };
    let one = World::with(Config {
        store,
        ..Config::default()
    })
    .await;
    let other = one.replica().await;
    (database, one, other)
}

#[tokio::test]
async fn a_decision_at_one_reaches_the_run_that_waits_at_the_other() {
    let (_database, one, other) = two().await;
    let run = one.run("ann");
    let id = one.pending(&run, &one.python(&run)).await;
    let mut waits = other.await_decision(&run, &id).await.unwrap();
    waits.message().await.unwrap();
    one.decide(&approver(), &id, Decision::Approved).await.unwrap();
    let decided = until_decided(&mut waits).await;
    assert_eq!(decided.decision(), Decision::Approved);
    assert!(!decided.grant.is_empty());
    // and again, at either
    for world in [&one, &other] {
        assert_eq!(world.decision(&run, &id).await.decision(), Decision::Approved);
    }
    assert_eq!(one.sink.of_kind(Kind::ApprovalDecided).len(), 1);
}

#[tokio::test]
async fn watchers_at_one_see_what_happens_at_the_other() {
    let (_database, one, other) = two().await;
    let run = one.run("ann");
    let mut watch = other.watch(&approver()).await;
    // a watcher may be told of the same state twice
    let mut until = async |id: &str, decision: Decision| loop {
        let shown = watch.message().await.unwrap().unwrap().approval.unwrap();
        if (shown.approval_id.as_str(), shown.decision()) == (id, decision) {
            return;
        }
    };
    for decision in [Decision::Approved, Decision::Denied] {
        let id = one.pending(&run, &one.python(&run)).await;
        until(&id, Decision::Unspecified).await;
        one.decide(&approver(), &id, decision).await.unwrap();
        until(&id, decision).await;
    }
}

#[tokio::test]
async fn what_no_hint_tells_is_seen_all_the_same() {
    let (database, one, other) = two().await;
    let run = one.run("ann");
    let mut watch = other.watch(&approver()).await;
    let mut until = async |id: &str, decision: Decision| loop {
        let shown = watch.message().await.unwrap().unwrap().approval.unwrap();
        if (shown.approval_id.as_str(), shown.decision()) == (id, decision) {
            return;
        }
    };
    let mut admin = PgConnection::connect(&database.url()).await.unwrap();
    for decision in [Decision::Approved, Decision::Denied] {
        let id = one.pending(&run, &one.python(&run)).await;
        let mut waits = other.await_decision(&run, &id).await.unwrap();
        // what begins and ends between two looks, with nobody listening, is shown to no watcher
        until(&id, Decision::Unspecified).await;
        // whoever listens loses its connection, and hears nothing until it has another
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        .execute(&mut admin)
        .await
        .unwrap();
        one.decide(&approver(), &id, decision).await.unwrap();
        assert_eq!(until_decided(&mut waits).await.decision(), decision);
        until(&id, decision).await;
    }
}

#[tokio::test]
async fn a_grant_is_spent_once_and_a_request_decided_once_wherever_they_are_brought() {
    let (_database, one, other) = two().await;
    let run = one.run("ann");
    for _ in 0..5 {
        let call = one.file_list(&run);
        let grant = one.granted(&run, &call).await;
        let spent = tokio::join!(
            one.redeem(BROKER, &grant, &call),
            other.redeem(BROKER, &grant, &call),
            one.redeem(BROKER, &grant, &call),
            other.redeem(BROKER, &grant, &call),
        );
        let spent = [spent.0, spent.1, spent.2, spent.3];
        assert_eq!(spent.iter().filter(|lease| lease.is_ok()).count(), 1, "{spent:?}");
        for refused in spent.into_iter().filter(Result::is_err) {
            assert_eq!(reason(refused), Reason::GrantRedeemed);
        }

        let id = one.pending(&run, &one.python(&run)).await;
        let person = approver();
        let (yes, no) = tokio::join!(
            one.decide(&person, &id, Decision::Approved),
            other.decide(&person, &id, Decision::Denied),
        );
        let (kept, lost) = if yes.is_ok() { (yes, no) } else { (no, yes) };
        assert_eq!(reason(lost), Reason::AlreadyDecided);
        let kept = kept.unwrap().decision();
        assert_eq!(other.decision(&run, &id).await.decision(), kept);
    }
    assert_eq!(one.sink.of_kind(Kind::GrantRedeemed).len(), 5);
    assert_eq!(one.sink.of_kind(Kind::ApprovalDecided).len(), 5);
}

#[tokio::test]
async fn a_deadline_passes_once_though_both_look_at_it() {
    let (_database, one, other) = two().await;
    let run = one.run("ann");
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(one.pending(&run, &one.python(&run)).await);
    }
    one.clock.advance(Duration::from_secs(3600));
    for id in &ids {
        let (here, there) = tokio::join!(one.decision(&run, id), other.decision(&run, id));
        assert_eq!(here.decision(), Decision::Expired);
        assert_eq!(there.decision(), Decision::Expired);
    }
    let mut events: Vec<_> = one.sink.of_kind(Kind::ApprovalDecided);
    events.dedup_by(|a, b| a.event_id == b.event_id);
    assert_eq!(events.len(), ids.len());
}

#[tokio::test]
async fn what_one_left_unrecorded_the_other_records() {
    let (_database, one, other) = two().await;
    let run = one.run("ann");
    let id = one.pending(&run, &one.python(&run)).await;
    one.sink
        .fail(harombe_testkit::Fault::Rejects(Kind::ApprovalDecided));
    assert_eq!(
        reason(one.decide(&approver(), &id, Decision::Denied).await),
        Reason::Internal
    );
    one.service.shutdown(Duration::from_secs(5)).await;
    other.sink.fail(harombe_testkit::Fault::None);
    // it may have been tried, and rests
    other.clock.advance(Duration::from_secs(600));
    let event = other.sink.wait_for_kind(Kind::ApprovalDecided).await;
    assert_eq!(event.approval_id, id);
    assert_eq!(other.decision(&run, &id).await.decision(), Decision::Denied);
}

/// A second process whose clock differs.
async fn differing(world: &World, seconds: i64) -> World {
    let now = Timestamp::from_millis(world.clock.now().as_millis() + seconds * 1000);
    world.replica_with(Arc::new(ManualClock::at(now))).await
}

/// The refusal of a call that came too early by the clock of who was asked.
fn assert_names_the_clocks<T: std::fmt::Debug>(refused: Result<T, Status>) {
    let refused = refused.unwrap_err();
    assert!(refused.message().contains("compare the clocks"), "{refused:?}");
}

#[tokio::test]
async fn a_grant_is_honoured_by_a_clock_a_little_behind_and_refused_by_one_far_behind() {
    let (_database, one, _other) = two().await;
    let run = one.run("ann");
    for (seconds, honoured) in [(-90, false), (-30, true), (4, true), (30, true)] {
        let call = one.file_list(&run);
        let grant = one.granted(&run, &call).await;
        let elsewhere = differing(&one, seconds).await;
        let spent = elsewhere.redeem(BROKER, &grant, &call).await;
        if honoured {
            assert!(spent.is_ok(), "{seconds}: {spent:?}");
            continue;
        }
        assert_names_the_clocks(spent);
        assert_eq!(one.sink.of_kind(Kind::GrantRefused).len(), 1);
        // Nothing was spent by it.
        one.redeem(BROKER, &grant, &call).await.unwrap();
    }
    // The grant has an end too, and no clock prolongs it.
    let call = one.file_list(&run);
    let grant = one.granted(&run, &call).await;
    let late = differing(&one, 60).await.redeem(BROKER, &grant, &call).await;
    assert_eq!(reason(late), Reason::GrantExpired);
}

#[tokio::test]
async fn a_run_is_not_believed_whose_token_comes_from_a_clock_far_ahead() {
    let (_database, one, _other) = two().await;
    let run = one.run("ann");
    for (seconds, believed) in [(-90, false), (-30, true), (30, true)] {
        let elsewhere = differing(&one, seconds).await;
        let call = one.file_list(&run);
        let answer = elsewhere.authorize(&run, &call).await;
        if believed {
            assert!(answer.is_ok(), "{seconds}: {answer:?}");
        } else {
            assert_names_the_clocks(answer);
        }
    }
}

#[tokio::test]
async fn a_deadline_that_is_over_by_one_clock_is_over_for_all() {
    let (_database, one, _other) = two().await;
    let run = one.run("ann");
    let id = one.pending(&run, &one.python(&run)).await;
    let behind = differing(&one, -30).await;
    one.clock.advance(Duration::from_secs(15 * 60 - 20));
    let ahead = differing(&one, 30).await;
    assert_eq!(ahead.decision(&run, &id).await.decision(), Decision::Expired);
    for world in [&one, &behind] {
        let late = world.decide(&approver(), &id, Decision::Approved).await;
        assert!(late.is_err(), "{late:?}");
        assert_eq!(one.decision(&run, &id).await.decision(), Decision::Expired);
    }
    assert_eq!(one.sink.of_kind(Kind::ApprovalDecided).len(), 1);
}

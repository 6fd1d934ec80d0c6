//! Erasing a person where several instances have the log open: what one destroys, none of the others goes on using.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::store::contract::{admin, erase, erasing};
use crate::store::{DataKeys, Term};

/// Ends every session that holds the writer's lock, if there is one.
async fn depose(bench: &Bench) {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .execute(&mut connection(bench).await)
    .await
    .unwrap();
}

/// Waits until the instance writes in a later term than this.
async fn later(log: &Log, term: Term) -> Term {
    let mut writes = log.store().writes();
    let term = writes.wait_for(|now| now.is_some_and(|now| now > term)).await;
    term.unwrap().unwrap()
}

#[tokio::test]
async fn no_instance_opens_details_with_a_key_that_the_writer_destroyed() {
    let bench = Bench::postgres().await;
    let other = TempDir::new().unwrap();
    let one = Arc::new(bench.open().await);
    let two = Arc::new(bench.open_at(other.path()).await);
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&one, writer.service, writer.events("alpha", 2)).await;
    assert_eq!(two.entry(1).await.unwrap().details, r#"{"count":2}"#);
    for subject in ["ann", "nobody"] {
        let refused = erasing(&two).erase(&admin(), &subject.parse().unwrap()).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.code(), refused.reason()),
            (Code::Unavailable, Reason::AuditUnavailable)
        );
    }
    assert_eq!(one.head().await.unwrap().size(), 2);
    assert_eq!(erase(&erasing(&one), "ann").await, 1);
    assert_eq!(two.entry(1).await.unwrap().details, "");
    assert_eq!(two.entry(2).await.unwrap().details, r#"{"subject":"ann"}"#);
    let wrapped: i64 =
        sqlx::query_scalar("SELECT count(*) FROM harombe_audit_keys.data_keys WHERE subject = 'ann'")
            .fetch_one(&mut connection(&bench).await)
            .await
            .unwrap();
    assert_eq!(wrapped, 0);
    one.close().await;
    two.close().await;
    assert_eq!(bench.intact().await.unaccounted, Vec::new());
}

#[tokio::test]
async fn an_instance_that_writes_again_seals_with_no_key_that_another_destroyed() {
    let bench = Bench::postgres().await;
    let elsewhere = TempDir::new().unwrap();
    let log = bench.open().await;
    let first = log.store().term().unwrap();
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&log, writer.service, writer.events("alpha", 1)).await;
    let other = Arc::new(bench.open_at(elsewhere.path()).await);
    // Whoever stands first when the session ends is elected.
    let mut elected = other.store().writes();
    while elected.borrow().is_none() {
        depose(&bench).await;
        let _ = timeout(Duration::from_secs(3), elected.wait_for(Option::is_some)).await;
    }
    assert_eq!(erase(&erasing(&other), "ann").await, 1);
    other.close().await;
    later(&log, first).await;
    let place = persist(&log, writer.service, writer.events("alpha", 1))
        .await
        .indexes[0];
    assert_eq!(log.entry(0).await.unwrap().details, "");
    assert_eq!(log.entry(place).await.unwrap().details, r#"{"count":2}"#);
    log.close().await;
    assert_eq!(bench.intact().await.unaccounted, Vec::new());
}

#[tokio::test]
async fn what_was_sealed_in_a_term_that_is_over_is_not_written() {
    let bench = Bench::postgres().await;
    let log = bench.open().await;
    let term = log.store().term().unwrap();
    let mut writer = Writer::new(ServiceName::Hitl);
    let place = bench.place();
    let config = place.config.postgres.as_ref().unwrap();
    let keys = super::super::PostgresKeys::open(config, &place.wrapping_key)
        .await
        .unwrap();
    let key = DataKeys::new(keys).of("alpha", "ann", term).await.unwrap();
    let event = writer.event("alpha", "exec.started");
    let draft = event
        .draft(&key, harombe_redact::Scanner::shared(), LIMITS)
        .unwrap();
    depose(&bench).await;
    let now = later(&log, term).await;
    let lane = (writer.service, "alpha".to_owned());
    let refused = log.store().append(&lane, term, vec![draft.clone()]).await;
    assert!(matches!(refused, Err(Error::NotWriter)), "{refused:?}");
    assert_eq!(
        log.store().append(&lane, now, vec![draft]).await.unwrap().indexes,
        [0]
    );
    log.close().await;
    assert_eq!(bench.intact().await.entries, 1);
}

#[tokio::test]
async fn an_erasure_that_loses_its_session_is_ended_by_the_next_call() {
    let bench = Bench::postgres().await;
    let log = Arc::new(bench.open().await);
    let erasures = erasing(&log);
    let mut writer = Writer::new(ServiceName::Hitl);
    for round in 0..3 {
        let place = persist(&log, writer.service, writer.events("alpha", 1))
            .await
            .indexes[0];
        end_session_of_writer(&bench).await;
        // It may have been recorded by a call that failed; it is destroyed by one of them.
        erase(&erasures, "ann").await;
        assert_eq!(log.entry(place).await.unwrap().details, "", "round {round}");
    }
    log.close().await;
    assert_eq!(bench.intact().await.unaccounted, Vec::new());
}

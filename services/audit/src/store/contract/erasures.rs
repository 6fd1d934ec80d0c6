//! Erasing people: details go, everything else stays, and it is on record before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use harombe_types::{ServiceName, Subject};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::Error;
use crate::domain::Event;

fn by(subject: &str, event: Event) -> Event {
    Event {
        subject: Some(subject.parse().unwrap()),
        ..event
    }
}

async fn details(log: &Log, index: u64) -> String {
    log.entry(index).await.unwrap().details
}

pub(super) async fn what_an_erased_person_did_stays_without_its_details(bench: Bench) {
    let log = Arc::new(bench.open().await);
    let erasures = erasing(&log);
    let mut writer = Writer::new(ServiceName::Hitl);
    let events = vec![
        writer.event("alpha", "exec.started"),
        by("bob", writer.event("alpha", "exec.started")),
        writer.event("beta", "exec.started"),
    ];
    persist(&log, writer.service, events).await;
    let before = log.entry(0).await.unwrap();
    let head = log.head().await.unwrap();
    let proof = log.prove("alpha", 0, 3).await.unwrap();

    assert_eq!(erase(&erasures, "nobody").await, 0);
    assert_eq!(log.head().await.unwrap().size(), 3, "nothing to record");
    assert_eq!(erase(&erasures, "ann").await, 1);

    let after = log.entry(0).await.unwrap();
    assert_eq!((after.leaf, after.details.as_str()), (before.leaf, ""));
    assert_eq!(log.prove("alpha", 0, 3).await.unwrap(), proof);
    prove(&log, "alpha", 0, 0).await;
    assert_eq!(log.prove_consistency(3, 0).await.unwrap().size, 4);
    assert_eq!(log.head().await.unwrap().size(), head.size() + 1);
    assert_eq!(details(&log, 1).await, r#"{"count":2}"#, "another person's");
    assert_eq!(details(&log, 2).await, r#"{"count":3}"#, "another tenant's");
    let record = leaf(&log, 3).await;
    assert_eq!(
        (
            record.service.as_str(),
            record.kind.as_str(),
            record.tenant.as_str()
        ),
        ("audit", "data_key.erased", "alpha")
    );
    assert_eq!(
        (record.principal.as_str(), record.instance_seq),
        ("person:root", 1)
    );
    assert_eq!(details(&log, 3).await, r#"{"subject":"ann"}"#);

    assert_eq!(erase(&erasures, "ann").await, 0);
    persist(&log, writer.service, writer.events("alpha", 1)).await;
    assert_eq!(details(&log, 4).await, r#"{"count":4}"#);
    log.close().await;
    let log = bench.open().await;
    assert_eq!(details(&log, 0).await, "");
    assert_eq!(details(&log, 4).await, r#"{"count":4}"#);
    log.close().await;
    let report = bench.intact().await;
    assert_eq!((report.entries, report.unaccounted), (5, Vec::new()));
}

pub(super) async fn an_erasure_that_cannot_be_recorded_is_not_done(bench: Bench) {
    let log = Arc::new(bench.open().await);
    let erasures = erasing(&log);
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&log, writer.service, writer.events("alpha", 1)).await;
    persist(
        &log,
        writer.service,
        vec![by("bob", writer.event("alpha", "exec.started"))],
    )
    .await;
    assert_eq!(erase(&erasures, "bob").await, 1);
    bench
        .tamper(match bench.database {
            None => "CREATE TRIGGER broken BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(ABORT, 'broken'); END",
            Some(_) => {
                "CREATE TRIGGER broken BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            }
        })
        .await;
    let ann: Subject = "ann".parse().unwrap();
    let refused = erasures.erase(&admin(), &ann).await;
    assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
    assert_eq!(details(&log, 0).await, r#"{"count":1}"#);
    bench
        .tamper(match bench.database {
            None => "DROP TRIGGER broken",
            Some(_) => "DROP TRIGGER broken ON checkpoints",
        })
        .await;
    assert_eq!(erase(&erasures, "ann").await, 1);
    assert_eq!(details(&log, 0).await, "");
    log.close().await;
    let report = bench.intact().await;
    assert_eq!((report.entries, report.unaccounted), (4, Vec::new()));
}

pub(super) async fn an_admin_may_erase_themself(bench: Bench) {
    let log = Arc::new(bench.open().await);
    let erasures = erasing(&log);
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(
        &log,
        writer.service,
        vec![by("root", writer.event("alpha", "exec.started"))],
    )
    .await;
    assert_eq!(erase(&erasures, "root").await, 1);
    // Who did it is in the leaf; what it was done to went with the key.
    let record = leaf(&log, 1).await;
    assert_eq!(
        (record.kind.as_str(), record.principal.as_str()),
        ("data_key.erased", "person:root")
    );
    assert_eq!(
        (details(&log, 0).await, details(&log, 1).await),
        (String::new(), String::new())
    );
    assert_eq!(erase(&erasures, "root").await, 0);
    log.close().await;
    assert_eq!(bench.intact().await.entries, 2);
}

/// Whatever is on its way meanwhile: what is acknowledged before is closed, and what comes after can be read, then and by
/// everybody who opens the log later.
pub(super) async fn what_is_appended_after_an_erasure_can_be_read(bench: Bench) {
    let log = Arc::new(bench.open().await);
    let erasures = erasing(&log);
    let stop = CancellationToken::new();
    let rounds = Arc::new(AtomicU64::new(0));
    let appenders: Vec<_> = (0..4)
        .map(|_| {
            let (log, stop, rounds) = (Arc::clone(&log), stop.clone(), Arc::clone(&rounds));
            tokio::spawn(async move {
                let mut writer = Writer::new(ServiceName::SandboxBroker);
                let mut appended = Vec::new();
                while !stop.is_cancelled() {
                    let round = rounds.load(Ordering::SeqCst);
                    let places = persist(&log, writer.service, writer.events("alpha", 2)).await;
                    appended.extend(places.indexes.into_iter().map(|index| (round, index)));
                }
                appended
            })
        })
        .collect();
    let mut writer = Writer::new(ServiceName::Hitl);
    let mut last = persist(&log, writer.service, writer.events("alpha", 1))
        .await
        .indexes[0];
    for _ in 0..12 {
        assert_ne!(details(&log, last).await, "");
        erase(&erasures, "ann").await;
        rounds.fetch_add(1, Ordering::SeqCst);
        assert_eq!(details(&log, last).await, "");
        last = persist(&log, writer.service, writer.events("alpha", 1))
            .await
            .indexes[0];
    }
    stop.cancel();
    let mut appended = Vec::new();
    for appender in appenders {
        appended.extend(appender.await.unwrap());
    }
    log.close().await;
    let log = bench.open().await;
    assert_ne!(details(&log, last).await, "");
    for (round, index) in appended {
        if round == 12 {
            assert_ne!(details(&log, index).await, "", "{index}");
        }
    }
    log.close().await;
    assert_eq!(bench.intact().await.unaccounted, Vec::new());
}

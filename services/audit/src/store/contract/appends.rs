//! Appending: each event once, all of a batch or none, and every tenant counted.

use harombe_types::ServiceName;

use super::*;
use crate::Error;
use crate::domain::Event;

pub(super) async fn entries_survive_a_restart(bench: Bench) {
    let mut writer = Writer::new(ServiceName::Hitl);
    let log = bench.open().await;
    assert_eq!(log.head().await.unwrap().size(), 0);
    assert_eq!(
        log.append(writer.service, writer.events("alpha", 3))
            .await
            .unwrap()
            .indexes,
        [0, 1, 2]
    );
    assert_eq!(
        log.append(writer.service, writer.events("beta", 1))
            .await
            .unwrap()
            .indexes,
        [3]
    );
    let before = log.head().await.unwrap();
    log.close().await;

    let log = bench.open().await;
    assert_eq!(
        (
            log.head().await.unwrap().note(),
            log.head().await.unwrap().tree().root()
        ),
        (before.note(), before.tree().root())
    );
    assert_eq!(
        log.append(writer.service, writer.events("alpha", 1))
            .await
            .unwrap()
            .indexes,
        [4]
    );
    let mut sequences = Vec::new();
    for index in 0..5 {
        let leaf = leaf(&log, index).await;
        sequences.push((leaf.tenant, leaf.tenant_seq));
    }
    let expected = [
        ("alpha", 1),
        ("alpha", 2),
        ("alpha", 3),
        ("beta", 1),
        ("alpha", 4),
    ];
    assert_eq!(sequences, expected.map(|(tenant, seq)| (tenant.to_owned(), seq)));
    assert_eq!(log.entry(4).await.unwrap().details, r#"{"count":5}"#);
    log.close().await;
}

pub(super) async fn the_same_event_comes_once(bench: Bench) {
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    let events = writer.events("alpha", 3);
    assert_eq!(
        log.append(writer.service, events.clone()).await.unwrap().indexes,
        [0, 1, 2]
    );
    assert_eq!(
        log.append(writer.service, events.clone()).await.unwrap().indexes,
        [0, 1, 2]
    );
    // A repetition beside something new, in the same batch and twice over.
    let new = writer.event("alpha", "call.authorized");
    let mixed = vec![events[1].clone(), new.clone(), new.clone(), events[0].clone()];
    assert_eq!(
        log.append(writer.service, mixed).await.unwrap().indexes,
        [1, 3, 3, 0]
    );
    assert_eq!(log.head().await.unwrap().size(), 4);
    log.close().await;
    let log = bench.open().await;
    assert_eq!(log.append(writer.service, vec![new]).await.unwrap().indexes, [3]);
    log.close().await;
}

pub(super) async fn who_repeats_an_event_under_another_number_is_told_so(bench: Bench) {
    let log = bench.open().await;
    let mut before = Writer::new(ServiceName::Hitl);
    let events = before.events("alpha", 2);
    let first = log.append(before.service, events.clone()).await.unwrap();
    assert!(first.recorded_before.is_empty());
    // Its own repetition has its own numbers in the log.
    let again = log.append(before.service, events.clone()).await.unwrap();
    assert!(again.recorded_before.is_empty());

    let mut renumbered = events[0].clone();
    renumbered.instance_seq = 3;
    let renumbered = log.append(before.service, vec![renumbered]).await.unwrap();
    assert_eq!(renumbered.recorded_before, vec![0]);

    let mut after = Writer::new(ServiceName::Hitl);
    let mut repeated = events[1].clone();
    let new = after.event("alpha", "approval.decided");
    repeated.instance.clone_from(&new.instance);
    let mixed = log.append(after.service, vec![new, repeated]).await.unwrap();
    assert_eq!((mixed.indexes, mixed.recorded_before), (vec![2, 1], vec![1]));
    log.close().await;
}

pub(super) async fn an_event_id_cannot_be_taken_over(bench: Bench) {
    let log = bench.open().await;
    let mut hitl = Writer::new(ServiceName::Hitl);
    let decided = hitl.event("alpha", "approval.decided");
    log.append(hitl.service, vec![decided.clone()]).await.unwrap();
    let mut runtime = Writer::new(ServiceName::Runtime);
    let forged = Event {
        id: decided.id,
        ..runtime.event("alpha", "approval.decided")
    };
    let batch = vec![runtime.event("alpha", "run.started"), forged];
    assert!(matches!(
        log.append(runtime.service, batch).await,
        Err(Error::EventIdTaken)
    ));
    let elsewhere = Event {
        tenant: "beta".parse().unwrap(),
        ..decided.clone()
    };
    assert!(matches!(
        log.append(hitl.service, vec![elsewhere]).await,
        Err(Error::EventIdTaken)
    ));
    // Nothing of a refused batch is in the log, not even its good half.
    assert_eq!(log.head().await.unwrap().size(), 1);
    let twins = vec![
        runtime.event("alpha", "run.started"),
        Event {
            id: decided.id,
            ..decided
        },
    ];
    assert!(log.append(runtime.service, twins).await.is_ok());
    log.close().await;
}

pub(super) async fn a_bad_event_refuses_its_batch(bench: Bench) {
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    let mut events = writer.events("alpha", 3);
    events[2].kind = "nonsense".to_owned();
    assert!(matches!(
        log.append(writer.service, events).await,
        Err(Error::Invalid(_))
    ));
    let many = writer.events("alpha", 1001);
    assert!(matches!(
        log.append(writer.service, many).await,
        Err(Error::TooLarge { .. })
    ));
    assert_eq!(
        log.append(writer.service, Vec::new()).await.unwrap().indexes,
        Vec::<u64>::new()
    );
    assert_eq!(log.head().await.unwrap().size(), 0);
    log.close().await;
}

pub(super) async fn a_failed_commit_leaves_nothing_and_the_log_goes_on(bench: Bench) {
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    log.append(writer.service, writer.events("alpha", 2))
        .await
        .unwrap();
    let before = log.head().await.unwrap();
    // Fails after the entries of the group are written, when its checkpoint is.
    bench
        .tamper(match bench.database {
            None => "CREATE TRIGGER broken BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(ABORT, 'broken'); END",
            Some(_) => {
                "CREATE TRIGGER broken BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            }
        })
        .await;
    let refused = writer.events("alpha", 300);
    assert!(matches!(
        log.append(writer.service, refused.clone()).await,
        Err(Error::Store(_))
    ));
    assert_eq!(log.head().await.unwrap().note(), before.note());
    assert!(matches!(log.entry(2).await, Err(Error::NoSuchEntry)));
    bench
        .tamper(match bench.database {
            None => "DROP TRIGGER broken",
            Some(_) => "DROP TRIGGER broken ON checkpoints",
        })
        .await;
    let places = persist(&log, writer.service, refused).await.indexes;
    assert_eq!(places, (2..302).collect::<Vec<_>>());
    assert_eq!(leaf(&log, 2).await.tenant_seq, 3);
    prove(&log, "alpha", 2, 0).await;
    log.close().await;
    bench.intact().await;
}

pub(super) async fn a_log_that_was_put_back_under_its_writer_is_not_gone_on_with(bench: Bench) {
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&log, writer.service, writer.events("alpha", 3)).await;
    persist(&log, writer.service, writer.events("beta", 2)).await;
    bench
        .tamper(
            "DELETE FROM entries WHERE idx >= 3; DELETE FROM checkpoints WHERE size > 3;
             DELETE FROM tenants WHERE tenant = 'beta'",
        )
        .await;
    for _ in 0..3 {
        let refused = log.append(writer.service, writer.events("alpha", 1)).await;
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(
            log.store().watch().borrow().size(),
            5,
            "what is published must not go back"
        );
    }
    log.close().await;
    assert_eq!(bench.intact().await.entries, 3);
}

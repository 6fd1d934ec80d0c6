//! The log as its callers know it: what is acknowledged stays, comes once, and can be proven.

mod queries;

use std::sync::Arc;

use harombe_tlog::{Checkpoint, VerifyingKey, verify_consistency, verify_inclusion};
use harombe_types::{RunId, ServiceName, SystemClock};
use sqlx::Connection as _;
use tempfile::TempDir;

use super::{Log, PAGE};
use crate::Error;
use crate::domain::{Event, Filter, Leaf};
use crate::fixture::{Writer, open, written};
use crate::store::LOG_FILE;

async fn leaf(log: &Log, index: u64) -> Leaf {
    Leaf::decode(&log.entry(index).await.unwrap().leaf).unwrap()
}

fn of(tenant: &str) -> Filter {
    Filter {
        tenant: Some(tenant.to_owned()),
        ..Filter::default()
    }
}

/// Checks an inclusion proof the way an outsider would.
async fn prove(log: &Log, tenant: &str, index: u64, size: u64) {
    let key = VerifyingKey::parse(log.store().verifier_key()).unwrap();
    let proof = log.prove(tenant, index, size).await.unwrap();
    let checkpoint = Checkpoint::open(proof.checkpoint.as_bytes(), &key).unwrap();
    assert_eq!(checkpoint.size(), proof.size);
    verify_inclusion(
        &Leaf::hash(&proof.leaf),
        index,
        proof.size,
        &proof.path,
        checkpoint.root(),
    )
    .unwrap();
}

#[tokio::test]
async fn entries_survive_a_restart() {
    let directory = TempDir::new().unwrap();
    let mut writer = Writer::new(ServiceName::Hitl);
    let log = open(directory.path()).await;
    assert_eq!(log.head().size(), 0);
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
    let before = log.head();
    log.close().await;

    let log = open(directory.path()).await;
    assert_eq!(
        (log.head().note(), log.head().tree().root()),
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

#[tokio::test]
async fn the_same_event_comes_once() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
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
    assert_eq!(log.head().size(), 4);
    log.close().await;
    let log = open(directory.path()).await;
    assert_eq!(log.append(writer.service, vec![new]).await.unwrap().indexes, [3]);
    log.close().await;
}

#[tokio::test]
async fn who_repeats_an_event_under_another_number_is_told_so() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
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

#[tokio::test]
async fn an_event_id_cannot_be_taken_over() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
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
    assert_eq!(log.head().size(), 1);
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

#[tokio::test]
async fn a_bad_event_refuses_its_batch() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
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
    assert_eq!(log.head().size(), 0);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_get_distinct_places_and_proofs() {
    let directory = TempDir::new().unwrap();
    let log = Arc::new(open(directory.path()).await);
    let callers: Vec<_> = (0..40)
        .map(|caller| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut writer = Writer::new(ServiceName::SandboxBroker);
                let tenant = format!("tenant-{}", caller % 4);
                let mut places = Vec::new();
                for _ in 0..20 {
                    let place = log
                        .append(writer.service, writer.events(&tenant, 1))
                        .await
                        .unwrap()
                        .indexes;
                    prove(&log, &tenant, place[0], 0).await;
                    places.extend(place);
                }
                places
            })
        })
        .collect();
    let mut places = Vec::new();
    for caller in callers {
        places.extend(caller.await.unwrap());
    }
    places.sort_unstable();
    assert_eq!(places, (0..800).collect::<Vec<_>>());
    log.close().await;
}

#[tokio::test]
async fn proofs_hold_across_tiles_and_restarts() {
    let directory = TempDir::new().unwrap();
    written(directory.path(), &[1, 255, 1, 300, 7]).await;
    let log = open(directory.path()).await;
    for (tenant, index, size) in [
        ("alpha", 0, 0),
        ("alpha", 0, 1),
        ("alpha", 255, 256),
        ("beta", 256, 257),
        ("alpha", 300, 557),
        ("alpha", 512, 0),
        ("alpha", 563, 564),
    ] {
        prove(&log, tenant, index, size).await;
    }
    assert!(matches!(
        log.prove("alpha", 564, 0).await,
        Err(Error::NoSuchEntry)
    ));
    assert!(
        matches!(log.prove("alpha", 256, 0).await, Err(Error::NoSuchEntry)),
        "another tenant's entry"
    );
    assert!(matches!(
        log.prove("alpha", 0, 565).await,
        Err(Error::NoSuchCheckpoint)
    ));
    assert!(matches!(
        log.prove("alpha", 0, 300).await,
        Err(Error::NoSuchCheckpoint)
    ));
    log.close().await;
}

#[tokio::test]
async fn checkpoints_are_consistent_with_each_other() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
    let key = VerifyingKey::parse(log.store().verifier_key()).unwrap();
    let mut writer = Writer::new(ServiceName::Hitl);
    let mut heads = vec![log.head()];
    for count in [1, 4, 300, 2] {
        log.append(writer.service, writer.events("alpha", count))
            .await
            .unwrap();
        heads.push(log.head());
    }
    let newest = heads.last().unwrap();
    for old in &heads {
        let plan = harombe_tlog::ProofPlan::consistency(old.size(), newest.size()).unwrap();
        let mut tiles = std::collections::HashMap::new();
        for node in plan.nodes() {
            let id = harombe_tlog::TileId::of(node);
            tiles.insert(id, log.store().reader().tile(id).await.unwrap());
        }
        let path = plan.assemble(|node| {
            let stored = || tiles[&harombe_tlog::TileId::of(node)].as_ref()?.hash_of(node);
            newest.tree().hash_of(node).or_else(stored).ok_or(node)
        });
        let opened = Checkpoint::open(old.note().as_bytes(), &key).unwrap();
        verify_consistency(
            (opened.size(), opened.root()),
            (newest.size(), &newest.tree().root()),
            &path.unwrap(),
        )
        .unwrap();
    }
    log.close().await;
}

#[tokio::test]
async fn a_failed_commit_leaves_nothing_and_the_log_goes_on() {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).await;
    let mut writer = Writer::new(ServiceName::Hitl);
    log.append(writer.service, writer.events("alpha", 2))
        .await
        .unwrap();
    let before = log.head();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.path().join(LOG_FILE));
    let mut saboteur = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    // Fails after the entries of the group are written, when its checkpoint is.
    sqlx::query(
        "CREATE TRIGGER broken BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(ABORT, 'broken'); END",
    )
    .execute(&mut saboteur)
    .await
    .unwrap();
    let refused = writer.events("alpha", 300);
    assert!(matches!(
        log.append(writer.service, refused.clone()).await,
        Err(Error::Store(_))
    ));
    assert_eq!(log.head().note(), before.note());
    assert!(matches!(log.entry(2).await, Err(Error::NoSuchEntry)));
    sqlx::query("DROP TRIGGER broken")
        .execute(&mut saboteur)
        .await
        .unwrap();
    let places = log.append(writer.service, refused).await.unwrap().indexes;
    assert_eq!(places, (2..302).collect::<Vec<_>>());
    assert_eq!(leaf(&log, 2).await.tenant_seq, 3);
    prove(&log, "alpha", 2, 0).await;
    log.close().await;
    crate::verify::verify(directory.path(), None).await.unwrap();
}

#[tokio::test]
async fn two_processes_on_one_log_write_one_history() {
    let directory = TempDir::new().unwrap();
    let (one, two) = (open(directory.path()).await, open(directory.path()).await);
    let mut writer = Writer::new(ServiceName::Hitl);
    for round in 0..4 {
        for (at, log) in [&one, &two].into_iter().enumerate() {
            let places = log
                .append(writer.service, writer.events("alpha", 100))
                .await
                .unwrap()
                .indexes;
            assert_eq!(places[0], (round * 2 + at as u64) * 100);
        }
    }
    one.close().await;
    two.close().await;
    assert_eq!(
        crate::verify::verify(directory.path(), None)
            .await
            .unwrap()
            .entries,
        800
    );
}

#[tokio::test]
async fn a_log_that_contradicts_its_checkpoint_is_not_opened() {
    let directory = TempDir::new().unwrap();
    written(directory.path(), &[3, 2]).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.path().join(LOG_FILE));
    let mut saboteur = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("DELETE FROM entries WHERE idx = 4")
        .execute(&mut saboteur)
        .await
        .unwrap();
    saboteur.close().await.unwrap();
    let opened = Log::open(
        directory.path(),
        harombe_sql::Limits::default(),
        crate::fixture::LIMITS,
    )
    .await;
    assert!(matches!(opened.err(), Some(Error::Damaged(_))));
}

#[tokio::test]
async fn a_log_never_gets_a_second_key() {
    let directory = TempDir::new().unwrap();
    written(directory.path(), &[1]).await;
    let keys = directory.path().join("keys");
    std::fs::remove_file(keys.join("signer.key")).unwrap();
    let opened = Log::open(
        directory.path(),
        harombe_sql::Limits::default(),
        crate::fixture::LIMITS,
    )
    .await;
    assert!(matches!(opened.err(), Some(Error::KeyMissing { .. })));
}

//! Proofs: every entry and every older state can be shown to be in the log.

use std::sync::Arc;

use harombe_tlog::verify_consistency;
use harombe_types::ServiceName;

use super::*;
use crate::Error;
use crate::verify::{Damage, Kind, Known, Report, VerifyError};

pub(super) async fn many_callers_get_distinct_places_and_proofs(bench: Bench) {
    let log = Arc::new(bench.open().await);
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

pub(super) async fn proofs_hold_across_tiles_and_restarts(bench: Bench) {
    written(&bench, &[1, 255, 1, 300, 7]).await;
    let log = bench.open().await;
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

pub(super) async fn checkpoints_are_consistent_with_each_other(bench: Bench) {
    let log = bench.open().await;
    let key = VerifyingKey::parse(log.store().verifier_key()).unwrap();
    let mut writer = Writer::new(ServiceName::Hitl);
    let mut heads = vec![log.head().await.unwrap()];
    for count in [1, 4, 300, 2] {
        log.append(writer.service, writer.events("alpha", count))
            .await
            .unwrap();
        heads.push(log.head().await.unwrap());
    }
    let newest = heads.last().unwrap();
    for old in &heads {
        let proof = log.prove_consistency(old.size(), 0).await.unwrap();
        assert_eq!(proof.checkpoint, newest.note());
        let opened = Checkpoint::open(old.note().as_bytes(), &key).unwrap();
        verify_consistency(
            (opened.size(), opened.root()),
            (newest.size(), &newest.tree().root()),
            &proof.path,
        )
        .unwrap();
    }
    log.close().await;
}

pub(super) async fn a_kept_checkpoint_shows_a_log_that_was_put_back_or_forked(bench: Bench) {
    let log = bench.open().await;
    let mut writer = Writer::new(ServiceName::Hitl);
    persist(&log, writer.service, writer.events("alpha", 3)).await;
    persist(&log, writer.service, writer.events("beta", 2)).await;
    let note = log.head().await.unwrap().note().to_owned();
    persist(&log, writer.service, writer.events("alpha", 1)).await;
    log.close().await;
    let known = |note: &str| Known {
        key: None,
        checkpoint: Some(note.as_bytes().to_vec()),
    };
    assert_eq!(bench.verify(known(&note)).await.unwrap().entries, 6);

    bench
        .tamper(
            "DELETE FROM entries WHERE idx >= 3; DELETE FROM checkpoints WHERE size > 3;
             DELETE FROM tenants WHERE tenant = 'beta'; UPDATE tenants SET seq = 3",
        )
        .await;
    assert_eq!(bench.intact().await.entries, 3, "whole by itself");
    let cut = found(bench.verify(known(&note)).await);
    assert_eq!((cut.kind, cut.entry), (Kind::CutTail, Some(3)), "{cut}");

    // The log's own key signs another history, as whoever stole it could.
    let log = bench.open().await;
    persist(&log, writer.service, writer.events("alpha", 4)).await;
    log.close().await;
    assert_eq!(bench.intact().await.entries, 7, "whole by itself");
    let forked = found(bench.verify(known(&note)).await);
    assert_eq!((forked.kind, forked.entry), (Kind::Forked, Some(4)), "{forked}");

    for other in ["", "nonsense", &note.replace("\n5\n", "\n4\n")] {
        let verdict = bench.verify(known(other)).await;
        assert!(
            matches!(verdict, Err(VerifyError::NotItsCheckpoint(_))),
            "{verdict:?}"
        );
    }
}

fn found(verdict: Result<Report, VerifyError>) -> Damage {
    match verdict {
        Err(VerifyError::Damaged(damage)) => damage,
        other => panic!("no damage seen: {other:?}"),
    }
}

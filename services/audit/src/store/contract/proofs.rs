//! Proofs: every entry and every older state can be shown to be in the log.

use std::sync::Arc;

use harombe_tlog::verify_consistency;
use harombe_types::ServiceName;

use super::*;
use crate::Error;

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

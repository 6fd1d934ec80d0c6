//! Memories of turns, and of many at the same time.

use super::memories::{fact, kept, record, saving, texts};
use super::place::{Place, on_each};
use super::*;
use crate::domain::{Listing, MemoryLimits, NewMemory, OfRun, Saving};

on_each![
    a_turn_is_remembered_once,
    turns_of_all_tenants_come_in_turn,
    saving_at_the_same_time_keeps_revisions_whole,
];

async fn a_turn_is_remembered_once(place: Place) {
    let (sessions, store) = place.both().await;
    let (run, _) = begun(&*sessions).await;
    assert!(store.unremembered(9).await.unwrap().is_empty());
    sessions.finish_turn(finish(&run, 1, &["answer"])).await.unwrap();
    let runs = store.unremembered(9).await.unwrap();
    assert_eq!(
        (runs.len(), runs[0].run, runs[0].session),
        (1, run.run, run.session)
    );
    assert_eq!((&runs[0].owner, runs[0].agent.as_str()), (&ann(), "default"));
    let said = store.said_in(&runs[0]).await.unwrap().unwrap();
    assert_eq!(said.messages, [b"m1".to_vec(), b"answer".to_vec()]);
    assert!(said.claimed.is_empty());
    let of_run = OfRun {
        row: runs[0].row,
        run: run.run,
        claimed: false,
    };
    let turn = |text: &str| {
        saving(
            &ann(),
            vec![NewMemory {
                session: Some(run.session),
                ..fact(text)
            }],
        )
    };
    let saved = store.remember(of_run, turn("m1")).await.unwrap().unwrap();
    assert_eq!((saved.new, saved.steps.len()), (1, 1));
    assert!(store.unremembered(9).await.unwrap().is_empty());
    assert!(store.remember(of_run, turn("m1")).await.unwrap().is_none());
    record(&*store, &saved.steps, 1).await;
    assert_eq!(texts(&*store, &ann(), Listing::default()).await, ["m1"]);

    // a turn whose session goes while it is read
    let (run, _) = begun(&*sessions).await;
    sessions.finish_turn(finish(&run, 1, &["answer"])).await.unwrap();
    let runs = store.unremembered(9).await.unwrap();
    sessions.delete_session(&ann(), run.session).await.unwrap();
    let of_run = OfRun {
        row: runs[0].row,
        run: run.run,
        claimed: false,
    };
    assert!(store.said_in(&runs[0]).await.unwrap().is_none());
    assert!(store.remember(of_run, turn("late")).await.unwrap().is_none());
    assert_eq!(texts(&*store, &ann(), Listing::default()).await, ["m1"]);
}

async fn turns_of_all_tenants_come_in_turn(place: Place) {
    let (sessions, store) = place.both().await;
    for (tenant, turns) in [("acme", 5), ("beta", 1), ("acme", 1)] {
        for _ in 0..turns {
            let id = SessionId::generate(&SystemClock);
            let agent = "default".parse().unwrap();
            let owner = owner(tenant, "ann");
            sessions.create_session(&owner, id, &agent, NOW).await.unwrap();
            let run = RunPrincipal {
                tenant: owner.tenant,
                ..run_in(id)
            };
            sessions.begin_turn(begin(&run, "m")).await.unwrap();
            sessions.finish_turn(finish(&run, 1, &["answer"])).await.unwrap();
        }
    }
    let tenants = |runs: Vec<crate::domain::Unremembered>| -> Vec<String> {
        runs.into_iter().map(|run| run.owner.tenant.to_string()).collect()
    };
    assert_eq!(
        tenants(store.unremembered(3).await.unwrap()),
        ["acme", "beta", "acme"]
    );
    assert_eq!(store.unremembered(12).await.unwrap().len(), 7);
}

async fn saving_at_the_same_time_keeps_revisions_whole(place: Place) {
    let stores = place.memory_replicas().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let store = std::sync::Arc::clone(&stores[number % stores.len()]);
        tasks.spawn(async move {
            let owner = if number % 2 == 0 {
                ann()
            } else {
                owner("acme", "bob")
            };
            kept(&*store, &owner, vec![fact(&number.to_string())]).await;
        });
    }
    tasks.join_all().await;
    for owner in [ann(), owner("acme", "bob")] {
        let revs: Vec<u64> = stores[0]
            .changed_since(&owner, 0, 100)
            .await
            .unwrap()
            .into_iter()
            .map(|memory| memory.rev)
            .collect();
        assert_eq!(revs, (1..=20).collect::<Vec<_>>());
        assert_eq!(stores[0].revision(&owner).await.unwrap().rev, 20);
    }
    let full = Saving {
        most: MemoryLimits {
            per_subject: 100,
            per_tenant: 40,
        },
        ..saving(&owner("acme", "cleo"), vec![fact("one too many")])
    };
    assert!(matches!(
        stores[0].save(full).await,
        Err(Error::TooManyMemories { .. })
    ));
}

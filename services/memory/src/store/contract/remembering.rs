//! Memories of turns, and of many at the same time.

use harombe_types::EventId;

use super::memories::{fact, kept, record, saving, texts};
use super::place::{Place, on_each};
use super::*;
use crate::domain::memories::TurnMemories;
use crate::domain::{
    ClaimedTurn, Listing, MemoryKind, MemoryLimits, NewMemory, Remembering, Saved, Saving, Unremembered,
};

on_each![
    a_turn_is_remembered_once,
    turns_are_remembered_together,
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
    let of_ann = |turns: Vec<TurnMemories>| remembering(&ann(), turns);
    let saved = store.remember(of_ann(vec![turn(&runs[0], "m1")])).await.unwrap();
    assert_eq!((saved.new, saved.steps.len()), (1, 1));
    assert!(store.unremembered(9).await.unwrap().is_empty());
    let again = store.remember(of_ann(vec![turn(&runs[0], "m1")])).await.unwrap();
    assert_eq!((again.new, again.steps.len()), (0, 0));
    record(&*store, &saved.steps, 1).await;
    assert_eq!(texts(&*store, &ann(), Listing::default()).await, ["m1"]);

    // a turn whose session goes while it is read
    let (run, _) = begun(&*sessions).await;
    sessions.finish_turn(finish(&run, 1, &["answer"])).await.unwrap();
    let runs = store.unremembered(9).await.unwrap();
    sessions.delete_session(&ann(), run.session).await.unwrap();
    assert!(store.said_in(&runs[0]).await.unwrap().is_none());
    let late = store
        .remember(of_ann(vec![turn(&runs[0], "late")]))
        .await
        .unwrap();
    assert_eq!(late, Saved::default());
    assert_eq!(texts(&*store, &ann(), Listing::default()).await, ["m1"]);
}

pub(super) fn turn(run: &Unremembered, text: &str) -> TurnMemories {
    TurnMemories {
        run: run.run,
        claimed: false,
        memories: vec![NewMemory {
            kind: MemoryKind::Turn,
            session: Some(run.session),
            ordinal: None,
            ..fact(text)
        }],
    }
}

pub(super) fn remembering(owner: &Owner, turns: Vec<TurnMemories>) -> Remembering {
    Remembering {
        owner: owner.clone(),
        turns: turns.into(),
        event: EventId::generate(&SystemClock),
        now: NOW,
        most: MemoryLimits {
            per_subject: 1000,
            per_tenant: 1000,
        },
    }
}

async fn turns_are_remembered_together(place: Place) {
    let (sessions, store) = place.both().await;
    let claimed = ClaimedTurn {
        tokens: 1,
        bytes: 7,
        body: b"earlier".to_vec(),
    };
    let first = session(&*sessions).await;
    let second = session(&*sessions).await;
    for (number, session) in [first, second, first, second].into_iter().enumerate() {
        let run = run_in(session);
        let begin = Begin {
            history: if number == 0 {
                vec![claimed.clone()]
            } else {
                Vec::new()
            },
            ..begin(&run, &number.to_string())
        };
        sessions.begin_turn(begin).await.unwrap();
        sessions.finish_turn(finish(&run, 1, &["answer"])).await.unwrap();
    }
    let runs = store.unremembered(9).await.unwrap();
    let mut brought = Vec::new();
    for run in &runs {
        let said = store.said_in(run).await.unwrap().unwrap();
        assert_eq!(said.messages.len(), 2);
        brought.push(said.claimed.len());
    }
    assert_eq!(brought, [1, 0, 1, 0]);

    // the first with what came before it; the last is somebody else's work meanwhile, and one is gone
    let other = store
        .remember(remembering(&ann(), vec![turn(&runs[3], "else")]))
        .await
        .unwrap();
    record(&*store, &other.steps, 1).await;
    let gone = TurnMemories {
        run: RunId::generate(&SystemClock),
        ..turn(&runs[3], "gone")
    };
    let turns = vec![
        TurnMemories {
            claimed: true,
            ..turn(&runs[0], "one")
        },
        turn(&runs[1], "two"),
        gone,
        turn(&runs[2], "three"),
        turn(&runs[3], "late"),
    ];
    let saved = store.remember(remembering(&ann(), turns)).await.unwrap();
    assert_eq!((saved.new, saved.steps.len()), (3, 1));
    let places: Vec<_> = saved
        .memories
        .iter()
        .map(|memory| (memory.text.as_str(), memory.session, memory.ordinal))
        .collect();
    assert_eq!(
        places,
        [
            ("one", Some(first), 1),
            ("two", Some(second), 2),
            ("three", Some(first), 2)
        ]
    );
    // nobody sees any of them before they are on record, and then all of them have changed
    assert_eq!(texts(&*store, &ann(), Listing::default()).await, ["else"]);
    record(&*store, &saved.steps, 2).await;
    let changed = store.changed_since(&ann(), 1, 9).await.unwrap();
    let revs: Vec<_> = changed
        .iter()
        .map(|memory| (memory.text.as_str(), memory.rev))
        .collect();
    assert_eq!(revs, [("one", 2), ("two", 3), ("three", 4)]);
    assert_eq!(store.revision(&ann()).await.unwrap().rev, 4);
    assert!(store.unremembered(9).await.unwrap().is_empty());
    let run = run_in(first);
    sessions.begin_turn(begin(&run, "next")).await.unwrap();
    sessions.finish_turn(finish(&run, 1, &["answer"])).await.unwrap();
    let runs = store.unremembered(9).await.unwrap();
    assert!(store.said_in(&runs[0]).await.unwrap().unwrap().claimed.is_empty());
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
    let tenants = |runs: Vec<Unremembered>| -> Vec<String> {
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

//! No more runs are under way than may be, from every process that the database allows.

use std::sync::Arc;

use futures_util::future::join_all;
use harombe_sql::pg::PgConnection;
use sqlx::Connection as _;

use super::place::{Place, on_each};
use super::*;
use crate::domain::{ClaimedTurn, Whose};

on_each![
    no_more_runs_are_under_way_than_may_however_many_begin,
    a_limit_is_kept_where_turns_are_taken_and_where_they_are_not,
    who_waits_for_a_turn_is_in_the_way_of_no_other,
];

/// A run of somebody's in a new session, to be begun within these limits.
async fn beginning(store: &dyn Store, owner: &Owner, most: RunLimits) -> Begin {
    let session = SessionId::generate(&SystemClock);
    let agent = "default".parse().unwrap();
    store.create_session(owner, session, &agent, NOW).await.unwrap();
    let run = RunPrincipal {
        tenant: owner.tenant.clone(),
        subject: owner.subject.clone(),
        ..run_in(session)
    };
    Begin {
        most,
        ..begin(&run, "m1")
    }
}

/// What many led to that were begun at once.
async fn begin_all(
    replicas: &[Arc<dyn Store>],
    owners: &[Owner],
    most: RunLimits,
) -> Vec<(Begin, Result<Begun, Error>)> {
    let mut begins = Vec::new();
    for owner in owners {
        begins.push(beginning(&*replicas[0], owner, most).await);
    }
    let begun = begins.iter().cloned().zip(replicas.iter().cycle());
    let begun = join_all(begun.map(|(begin, store)| store.begin_turn(begin))).await;
    begins.into_iter().zip(begun).collect()
}

fn is_full<T>(result: &Result<T, Error>, of: Whose) -> bool {
    matches!(result, Err(Error::TooManyRuns { whose, .. }) if *whose == of)
}

async fn no_more_runs_are_under_way_than_may_however_many_begin(place: Place) {
    let replicas = place.replicas().await;
    let store = &*replicas[0];
    let most = RunLimits {
        per_subject: 4,
        per_tenant: 6,
    };
    let begun = begin_all(&replicas, &vec![ann(); 24], most).await;
    let (kept, refused): (Vec<_>, Vec<_>) = begun.iter().partition(|(_, begun)| begun.is_ok());
    assert_eq!(kept.len(), 4, "{begun:?}");
    for (begin, begun) in refused {
        assert!(is_full(begun, Whose::Subject), "{begun:?}");
        assert!(matches!(store.header(&begin.run).await, Err(Error::NotFound(_))));
        let session = store.session(&ann(), begin.run.session).await.unwrap();
        assert_eq!((session.active_run, session.updated), (None, NOW));
    }
    // a message that has begun a run is answered, though there is no room
    let first = &kept[0].0;
    let again = store.begin_turn(first.clone()).await.unwrap();
    assert_eq!(again.run, first.run.run);
    let other_run = Begin {
        run: RunPrincipal {
            run: RunId::generate(&SystemClock),
            ..first.run.clone()
        },
        ..first.clone()
    };
    let known = store.begin_turn(other_run).await.unwrap();
    assert_eq!((known.run, known.lease), (first.run.run, None));

    let others: Vec<_> = (0..24)
        .map(|number| owner("acme", ["bob", "eve"][number % 2]))
        .collect();
    let others = begin_all(&replicas, &others, most).await;
    assert_eq!(
        others.iter().filter(|(_, begun)| begun.is_ok()).count(),
        2,
        "{others:?}"
    );
    assert!(
        others
            .iter()
            .all(|(_, begun)| begun.is_ok() || is_full(begun, Whose::Tenant))
    );
    let elsewhere = beginning(store, &owner("other", "ann"), most).await;
    store.begin_turn(elsewhere).await.unwrap();

    // a run that ends makes room for one
    let epoch = again.lease.unwrap().epoch;
    store
        .finish_turn(finish(&first.run, epoch, &["answer"]))
        .await
        .unwrap();
    let next = begin_all(&replicas, &vec![ann(); 3], most).await;
    assert_eq!(
        next.iter().filter(|(_, begun)| begun.is_ok()).count(),
        1,
        "{next:?}"
    );
}

/// Far below a limit nobody waits for anybody.
async fn a_limit_is_kept_where_turns_are_taken_and_where_they_are_not(place: Place) {
    let replicas = place.replicas().await;
    let most = RunLimits {
        per_subject: 72,
        per_tenant: 1000,
    };
    for _ in 0..9 {
        let begun = begin_all(&replicas, &vec![ann(); 8], most).await;
        assert!(begun.iter().all(|(_, begun)| begun.is_ok()), "{begun:?}");
    }
    let begun = begin_all(&replicas, &vec![ann(); 8], most).await;
    assert!(
        begun.iter().all(|(_, begun)| is_full(begun, Whose::Subject)),
        "{begun:?}"
    );
}

/// What begins a turn of Ann's with a conversation that the client brings along.
fn with_history(begin: Begin) -> Begin {
    let turn = ClaimedTurn {
        body: b"said before".to_vec(),
        tokens: 1,
        bytes: 11,
    };
    Begin {
        history: vec![turn],
        ..begin
    }
}

/// Somebody takes the tenant's turn and does not let it go, as a process that froze.
async fn take_turn(place: &Place) -> Option<PgConnection> {
    let mut beside = place.beside().await?;
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('harombe_memory acme', 0))")
        .execute(&mut beside)
        .await
        .unwrap();
    Some(beside)
}

async fn who_waits_for_a_turn_is_in_the_way_of_no_other(place: Place) {
    let store = place.open().await;
    let most = |per_subject| RunLimits {
        per_subject,
        per_tenant: 1000,
    };
    let (run, begun) = begun(&*store).await;
    let epoch = begun.lease.unwrap().epoch;
    let mut near = Vec::new();
    for _ in 0..16 {
        near.push(with_history(beginning(&*store, &ann(), most(64)).await));
    }
    let holder = take_turn(&place).await;

    // far from a limit, and where there is no room, nobody waits for the turn
    let far = beginning(&*store, &ann(), most(1000)).await;
    store.begin_turn(with_history(far)).await.unwrap();
    for begin in [
        beginning(&*store, &ann(), most(2)).await,
        with_history(beginning(&*store, &ann(), most(2)).await),
    ] {
        let refused = store.begin_turn(begin).await;
        assert!(is_full(&refused, Whose::Subject), "{refused:?}");
    }

    let beginning = join_all(near.into_iter().map(|begin| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.begin_turn(begin).await })
    }));
    if let Some(mut beside) = holder {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'";
        while sqlx::query_scalar::<_, i64>(waiting)
            .fetch_one(&mut beside)
            .await
            .unwrap()
            < 2
        {
            tokio::task::yield_now().await;
        }
        for _ in 0..50 {
            assert_eq!(renew(&*store, &run, epoch, expires()).await, KEPT);
        }
        // with its turn
        beside.close().await.unwrap();
    }
    for begun in beginning.await {
        begun.unwrap().unwrap();
    }
}

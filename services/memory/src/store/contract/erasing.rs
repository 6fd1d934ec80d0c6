//! A person is erased while others go on, at every process that the database allows.

use std::sync::Arc;

use futures_util::future::join_all;

use super::memories::{fact, kept, texts};
use super::place::{Place, on_each};
use super::races::in_turn;
use super::remembering::{remembering, turn};
use super::*;
use crate::domain::{Listing, NewMemory};
use crate::store::{Consolidations, MemoryStore};

on_each![a_person_is_erased_whatever_goes_on];

/// Of Ann's, in each round.
const SESSIONS: usize = 6;

/// What there was before is gone, and nobody waits for the other for ever. What comes meanwhile may stay.
async fn a_person_is_erased_whatever_goes_on(place: Place) {
    let (replicas, memories) = (place.replicas().await, place.memory_replicas().await);
    let consolidations = place.consolidations().await.1;
    let (store, kept_here) = (&*replicas[0], &*memories[0]);
    let last = replicas.len() - 1;
    for _ in 0..4 {
        let runs = under_way(store, kept_here).await;
        let ends = in_turn(&replicas, SESSIONS).map(|(number, store)| {
            let run = runs[number].clone();
            async move { store.finish_turn(finish(&run, 1, &["answer"])).await }
        });
        let deletes = in_turn(&replicas, SESSIONS).map(|(number, store)| {
            let session = runs[number].session;
            async move { store.delete_session(&ann(), session).await }
        });
        let others = memories.iter().map(|store| others(store, &*consolidations));
        let (ended, deleted, ..) = tokio::join!(
            join_all(ends),
            join_all(deletes),
            join_all(others),
            erase_person(store, kept_here),
            erase_person(&*replicas[last], &*memories[last]),
        );
        assert!(ended.iter().all(Result::is_ok), "{ended:?}");
        deleted
            .iter()
            .filter_map(|deleted| deleted.as_ref().err())
            .for_each(may_be);
        erase_person(store, kept_here).await;
        let left = replicas[last].belongings(&ann(), 99, 99).await.unwrap();
        assert_eq!((left.free, left.in_use, left.memories), (Vec::new(), 0, None));
        assert!(memories[last].stored(None, 9).await.unwrap().is_empty());
        for run in runs {
            let gone = replicas[last].run(&ann(), run.run).await;
            assert!(matches!(gone, Err(Error::NotFound("run"))), "{gone:?}");
        }
    }
}

/// Runs in sessions of their own, with memories of theirs and others.
async fn under_way(store: &dyn Store, memories: &dyn MemoryStore) -> Vec<RunPrincipal> {
    let mut runs = Vec::new();
    for number in 0..SESSIONS {
        let (run, _) = begun(store).await;
        let said = NewMemory {
            session: Some(run.session),
            ordinal: None,
            ..fact(&format!("said {number}"))
        };
        kept(memories, &ann(), vec![said, fact("alone")]).await;
        runs.push(run);
    }
    let there = texts(memories, &ann(), Listing::default()).await;
    assert_eq!(there.len(), 2 * SESSIONS, "{there:?}");
    runs
}

/// What else is done with memories: turns become some, some are saved, changes are looked at, vectors are told.
async fn others(store: &Arc<dyn MemoryStore>, consolidations: &dyn Consolidations) {
    let turns = async {
        for run in store.unremembered(9).await.unwrap() {
            let turns = remembering(&ann(), vec![turn(&run, "a turn")]);
            store.remember(turns).await.unwrap();
        }
    };
    let saves = async {
        kept(&**store, &ann(), vec![fact("meanwhile")]).await;
    };
    let looks = async {
        for behind in consolidations.behind(9).await.unwrap() {
            let look = consolidation::plan(behind.looked, behind.rev);
            consolidations.consolidate(look).await.unwrap();
        }
    };
    let tells = async {
        let works = store.outbox(20).await.unwrap();
        let works: Vec<u64> = works.iter().map(|work| work.seq).collect();
        store.finished(&works).await.unwrap();
    };
    tokio::join!(turns, saves, looks, tells);
}

/// What who deletes a session may be told while it is used and erased.
fn may_be(error: &Error) {
    assert!(
        matches!(error, Error::SessionBusy | Error::NotFound("session")),
        "{error:?}"
    );
}

/// As the domain does, until nothing was left.
async fn erase_person(store: &dyn Store, memories: &dyn MemoryStore) {
    const FEW: u32 = 4;
    loop {
        let found = store.belongings(&ann(), FEW, 99).await.unwrap();
        for run in &found.uncancelled {
            let asked = store.request_cancel(run, "erased").await;
            assert!(matches!(asked, Ok(_) | Err(Error::NotFound("run"))), "{asked:?}");
        }
        let mut left = found.in_use > 0 || found.free.len() == FEW as usize;
        for id in found.free {
            if let Err(error) = store.erase_session(&ann(), id).await {
                may_be(&error);
                left |= matches!(error, Error::SessionBusy);
            }
        }
        left |= memories.erase_person(&ann(), 5).await.unwrap().more;
        if !left {
            return;
        }
        tokio::task::yield_now().await;
    }
}

//! Many at once, from every process that the database allows.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use harombe_types::WorkspaceId;

use super::place::{Place, on_each};
use super::*;
use crate::domain::Position;
use crate::store::News;

on_each![
    a_session_has_one_run_however_many_begin,
    a_message_begins_one_run_however_often_it_comes,
    each_expired_run_is_claimed_once,
    one_journal_wins_however_many_write,
    a_turn_ends_or_is_taken_over_and_never_both,
    beginning_and_ending_get_along,
    whoever_begins_knows_the_turn_that_has_just_ended,
    a_session_is_deleted_or_has_a_turn_and_never_both,
];

type Stores = Vec<Arc<dyn Store>>;

/// The replicas in turn.
pub(super) fn in_turn(replicas: &Stores, count: usize) -> impl Iterator<Item = (usize, Arc<dyn Store>)> {
    replicas
        .iter()
        .cloned()
        .cycle()
        .take(count)
        .enumerate()
        .collect::<Vec<_>>()
        .into_iter()
}

async fn a_session_has_one_run_however_many_begin(place: Place) {
    let replicas = place.replicas().await;
    for _ in 0..5 {
        let session = session(&*replicas[0]).await;
        let begins = in_turn(&replicas, 18).map(|(number, store)| async move {
            store
                .begin_turn(begin(&run_in(session), &format!("m{number}")))
                .await
        });
        let begun = join_all(begins).await;
        let won: Vec<_> = begun.iter().filter_map(|begun| begun.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "{begun:?}");
        assert!(
            begun
                .iter()
                .all(|begun| matches!(begun, Ok(_) | Err(Error::SessionBusy)))
        );
        let active = replicas[0].session(&ann(), session).await.unwrap().active_run;
        assert_eq!(active, Some(won[0].run.to_string()));
    }
}

async fn a_message_begins_one_run_however_often_it_comes(place: Place) {
    let replicas = place.replicas().await;
    for _ in 0..5 {
        let session = session(&*replicas[0]).await;
        // half of them try again with the same run, half are somebody who lost track of it
        let one = run_in(session);
        let begins = in_turn(&replicas, 18).map(|(number, store)| {
            let run = if number % 2 == 0 {
                one.clone()
            } else {
                run_in(session)
            };
            async move { store.begin_turn(begin(&run, "m")).await.unwrap() }
        });
        let begun = join_all(begins).await;
        let runs: BTreeSet<String> = begun.iter().map(|begun| begun.run.to_string()).collect();
        assert_eq!(runs.len(), 1, "{begun:?}");
        let epochs: Vec<u64> = begun
            .iter()
            .filter_map(|begun| Some(begun.lease?.epoch))
            .collect();
        let distinct: BTreeSet<u64> = epochs.iter().copied().collect();
        assert_eq!(distinct.len(), epochs.len(), "two hold one epoch: {epochs:?}");
        let winner = RunPrincipal {
            run: begun[0].run,
            ..one.clone()
        };
        let newest = distinct.last().copied().unwrap();
        for epoch in &epochs {
            let written = replicas[0]
                .append(&winner, *epoch, 2, vec![entry("on")], NOW)
                .await;
            assert_eq!(written.is_ok(), *epoch == newest, "{written:?}");
        }
    }
}

async fn each_expired_run_is_claimed_once(place: Place) {
    let replicas = place.replicas().await;
    let mut begun_runs = BTreeSet::new();
    for _ in 0..20 {
        begun_runs.insert(begun(&*replicas[0]).await.0.run.to_string());
    }
    let until = expires().plus(LEASE);
    let claimers = in_turn(&replicas, 6).map(|(_, store)| async move {
        let mut claimed = Vec::new();
        for expired in expired_now(&*store, expires()).await {
            claimed.extend(store.claim(&expired, expires(), until).await.unwrap());
        }
        claimed
    });
    let claimed: Vec<_> = join_all(claimers).await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), begun_runs.len());
    assert!(claimed.iter().all(|claimed| claimed.lease.epoch == 2));
    let names: BTreeSet<String> = claimed.iter().map(|claimed| claimed.run.to_string()).collect();
    assert_eq!(names, begun_runs);
}

async fn one_journal_wins_however_many_write(place: Place) {
    let replicas = place.replicas().await;
    let (run, _) = begun(&*replicas[0]).await;
    for round in 0..5_u64 {
        let expected = 2 + round * 2;
        // three say the same, as one does who repeats; the others say something else
        let appends = in_turn(&replicas, 9).map(|(number, store)| {
            let (run, number) = (run.clone(), if number < 3 { 0 } else { number });
            let entries = vec![entry(&format!("{round} of {number}")), entry("seen end")];
            async move { store.append(&run, 1, expected, entries, NOW).await }
        });
        let written = join_all(appends).await;
        let won = written.iter().filter(|written| written.is_ok()).count();
        assert!(won == 1 || won == 3, "{written:?}");
        assert!(written.iter().all(|written| match written {
            Ok(progress) => progress.cursor == expected + 2,
            Err(error) => matches!(error, Error::Cursor { .. }),
        }));
    }
    let cursors: Vec<u64> = journal(&*replicas[0], &run)
        .await
        .iter()
        .map(|(cursor, _)| *cursor)
        .collect();
    assert_eq!(cursors, (1..=12).collect::<Vec<u64>>());
}

async fn a_turn_ends_or_is_taken_over_and_never_both(place: Place) {
    let replicas = place.replicas().await;
    for round in 0..12 {
        let (run, _) = begun(&*replicas[0]).await;
        let listed = expired_now(&*replicas[0], expires()).await;
        let (one, other) = (
            &replicas[round % replicas.len()],
            &replicas[(round + 1) % replicas.len()],
        );
        let (finished, claimed, failed) = tokio::join!(
            one.finish_turn(finish(&run, 1, &["answer"])),
            other.claim(&listed[0], expires(), expires().plus(LEASE)),
            one.end(
                &listed[0],
                RunState::Failed,
                vec![entry("seen failed")],
                expires()
            ),
        );
        failed.unwrap();
        let claimed = claimed.unwrap();
        let seen = one.run(&ann(), run.run).await.unwrap();
        match (finished, claimed) {
            (Ok(_), None) => assert_eq!(seen.state, RunState::Finished),
            (Err(Error::LeaseLost), Some(claimed)) => {
                assert_eq!(seen.state, RunState::Active);
                other
                    .finish_turn(finish(&run, claimed.lease.epoch, &["answer"]))
                    .await
                    .unwrap();
            }
            (Err(Error::RunEnded), None) => assert_eq!(seen.state, RunState::Failed),
            other => panic!("{other:?} and {seen:?}"),
        }
    }
}

/// One takes the session and then the run, the other ends the run and frees the session.
async fn beginning_and_ending_get_along(place: Place) {
    let replicas = place.replicas().await;
    let session = session(&*replicas[0]).await;
    for round in 0..12 {
        let run = run_in(session);
        let message = format!("m{round}");
        replicas[0].begin_turn(begin(&run, &message)).await.unwrap();
        let store = &replicas[round % replicas.len()];
        let (finished, again, next) = tokio::join!(
            replicas[0].finish_turn(finish(&run, 1, &["answer"])),
            store.begin_turn(begin(&run, &message)),
            store.begin_turn(begin(&run_in(session), "next")),
        );
        let again = again.unwrap();
        assert_eq!(again.run, run.run);
        let epoch = again.lease.map_or(1, |lease| lease.epoch);
        if epoch > 1 {
            assert!(is_lost(&finished), "{finished:?}");
            store.finish_turn(finish(&run, epoch, &["answer"])).await.unwrap();
        }
        match next {
            Ok(next) if next.lease.is_some() => {
                let next = RunPrincipal { run: next.run, ..run };
                store.finish_turn(finish(&next, 1, &["answer"])).await.unwrap();
            }
            Ok(_) | Err(Error::SessionBusy) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Those who begin wait for the one who ends, and what they are told must not be from before they waited.
async fn whoever_begins_knows_the_turn_that_has_just_ended(place: Place) {
    let replicas = place.replicas().await;
    let (mut run, _) = begun(&*replicas[0]).await;
    for round in 0..20 {
        let next: Vec<_> = (0..6).map(|_| run_in(run.session)).collect();
        let begins = in_turn(&replicas, 6).map(|(number, store)| {
            let next = begin(&next[number], &format!("m{round} {number}"));
            async move { store.begin_turn(next).await }
        });
        let (ended, begun) = tokio::join!(
            replicas[0].finish_turn(finish(&run, 1, &["answer"])),
            join_all(begins)
        );
        ended.unwrap();
        let last = Some(run.run.to_string());
        let won = begun
            .into_iter()
            .zip(&next)
            .find_map(|(begun, next)| Some((begun.ok()?, next)));
        let (begun, next) = match won {
            Some((begun, next)) => (begun, next.clone()),
            None => {
                let next = run_in(run.session);
                let late = begin(&next, &format!("m{round} late"));
                (replicas[0].begin_turn(late).await.unwrap(), next)
            }
        };
        assert_eq!(begun.last_run, last, "in round {round}");
        run = next;
    }
}

/// Nor is a workspace bound to what is gone.
async fn a_session_is_deleted_or_has_a_turn_and_never_both(place: Place) {
    let replicas = place.replicas().await;
    for round in 0..12 {
        let session = session(&*replicas[0]).await;
        let run = run_in(session);
        let (one, other) = (
            &replicas[round % replicas.len()],
            &replicas[(round + 1) % replicas.len()],
        );
        let owner = ann();
        let workspace: WorkspaceId =
            "0199f3a0-0000-7000-8000-00000000000a.0199f3a0-0000-7000-8000-000000000001"
                .parse()
                .unwrap();
        let bound = Some(workspace.to_string());
        let (begun, deleted, attached) = tokio::join!(
            one.begin_turn(begin(&run, "m1")),
            other.delete_session(&owner, session),
            one.attach_workspace(&owner, session, workspace),
        );
        match (begun, deleted) {
            (Ok(_), Err(Error::SessionBusy)) => {
                assert_eq!(attached.ok(), bound);
                one.finish_turn(finish(&run, 1, &["a"])).await.unwrap();
                let deleted = other.delete_session(&owner, session).await.unwrap();
                assert_eq!(deleted, bound, "for its broker to delete");
            }
            (Err(Error::NotFound("session")), Ok(deleted)) => match attached {
                Ok(_) => assert_eq!(deleted, bound),
                Err(Error::NotFound("session")) => assert_eq!(deleted, None),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
        let gone = one.begin_turn(begin(&run, "m2")).await;
        assert!(matches!(gone, Err(Error::NotFound("session"))), "{gone:?}");
        let gone = one.run(&owner, run.run).await;
        assert!(matches!(gone, Err(Error::NotFound("run"))), "{gone:?}");
    }
}

#[tokio::test]
async fn processes_on_one_postgres_tell_where_journals_stand() {
    let place = Place::postgres().await;
    let store = place.open().await;
    let peers = place.peers().await;
    let (run, _) = begun(&*store).await;
    let (other, _) = begun(&*store).await;
    store.finish_turn(finish(&other, 1, &["a"])).await.unwrap();
    let unknown = run_in(run.session);
    let asked = [&run, &unknown, &other].map(|run| (run.tenant.clone(), run.run));
    let positions = peers.positions(asked.to_vec()).await.unwrap();
    let active = Position {
        cursor: 2,
        state: RunState::Active,
    };
    let ended = Position {
        cursor: 3,
        state: RunState::Finished,
    };
    assert_eq!(positions, [(run.run, active), (other.run, ended)]);
    assert_eq!(peers.positions(Vec::new()).await.unwrap(), []);
}

#[tokio::test]
async fn processes_on_one_postgres_tell_one_another_and_not_themselves() {
    let place = Place::postgres().await;
    let (one, other) = (place.peers().await, place.peers().await);
    let stop = tokio_util::sync::CancellationToken::new();
    let (news, mut hears) = tokio::sync::mpsc::channel(16);
    let listening = {
        let (one, stop) = (Arc::clone(&one), stop.clone());
        tokio::spawn(async move { one.listen(&stop, news).await })
    };
    assert_eq!(hears.recv().await, Some(News::Missed));
    let (own, theirs) = (RunId::generate(&SystemClock), RunId::generate(&SystemClock));
    one.tell(own);
    other.tell(theirs);
    assert_eq!(hears.recv().await, Some(News::Of(theirs)));
    stop.cancel();
    listening.await.unwrap();
    assert_eq!(hears.recv().await, None);
}

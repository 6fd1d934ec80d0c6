//! Who may drive a run, and until when.

use super::place::{Place, on_each};
use super::*;
use crate::domain::Expired;

on_each![
    a_lease_is_held_until_it_expires_and_an_epoch_fences_its_last_holder,
    a_lease_is_renewed_and_given_up_by_its_holder_only,
    a_claim_takes_what_was_listed_and_nothing_newer,
    a_run_that_nobody_drives_is_ended,
    a_wish_to_stop_reaches_the_driver_and_the_first_stays,
];

async fn expired_now(store: &dyn Store, now: Timestamp) -> Vec<Expired> {
    store.expired(now, 100).await.unwrap()
}

async fn a_lease_is_held_until_it_expires_and_an_epoch_fences_its_last_holder(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    let last_moment = Timestamp::from_millis(expires().as_millis() - 1);
    let early = store.acquire_lease(&run, last_moment, expires()).await;
    assert!(is_lost(&early), "{early:?}");
    let until = expires().plus(LEASE);
    let (lease, cursor) = store.acquire_lease(&run, expires(), until).await.unwrap();
    assert_eq!((lease.epoch, lease.expires, cursor), (2, until, 2));
    assert!(is_lost(&store.append(&run, 1, 2, vec![entry("late")], NOW).await));
    assert!(is_lost(&store.finish_turn(finish(&run, 1, &["late"])).await));
    assert!(is_lost(&store.renew_lease(&run, 1, until).await));
    assert!(is_lost(&store.release_lease(&run, 1, NOW).await));
    store.append(&run, 2, 2, vec![entry("on")], NOW).await.unwrap();
    store.finish_turn(finish(&run, 2, &["done"])).await.unwrap();
    let ended = store.acquire_lease(&run, until.plus(LEASE), until).await;
    assert!(matches!(ended, Err(Error::RunEnded)), "{ended:?}");
    let states: Vec<_> = journal(&*store, &run)
        .await
        .into_iter()
        .map(|(_, state)| state)
        .collect();
    assert_eq!(states, ["seen begun", "hidden", "on", "seen finished"]);
}

async fn a_lease_is_renewed_and_given_up_by_its_holder_only(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    let later = expires().plus(LEASE);
    let (lease, progress) = store.renew_lease(&run, 1, later).await.unwrap();
    assert_eq!((lease.epoch, lease.expires, progress.cursor), (1, later, 2));
    assert_eq!(expired_now(&*store, expires()).await, []);
    assert_eq!(expired_now(&*store, later).await.len(), 1);
    assert!(is_lost(&store.release_lease(&run, 2, NOW).await));
    for _ in 0..2 {
        store.release_lease(&run, 1, NOW).await.unwrap();
    }
    assert_eq!(expired_now(&*store, NOW).await.len(), 1);
    // giving up does not make a lease longer
    store.release_lease(&run, 1, later).await.unwrap();
    assert_eq!(expired_now(&*store, NOW).await.len(), 1);
    let (lease, _) = store.acquire_lease(&run, NOW, expires()).await.unwrap();
    assert_eq!(lease.epoch, 2);
    assert!(is_lost(&store.renew_lease(&run, 1, later).await));
    let unknown = run_in(run.session);
    let refused = store.renew_lease(&unknown, 1, later).await;
    assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
}

async fn a_claim_takes_what_was_listed_and_nothing_newer(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    let (second, _) = begun(&*store).await;
    store
        .renew_lease(&second, 1, expires().plus(LEASE))
        .await
        .unwrap();
    assert_eq!(store.expired(NOW, 9).await.unwrap(), []);
    let now = expires().plus(LEASE);
    let listed = expired_now(&*store, now).await;
    let runs: Vec<_> = listed.iter().map(|expired| expired.run).collect();
    assert_eq!(runs, [run.run, second.run], "the longest expired first");
    assert_eq!(store.expired(now, 1).await.unwrap().len(), 1);
    assert_eq!(
        (listed[0].epoch, &listed[0].token),
        (1, &format!("token of {}", run.run))
    );
    let until = now.plus(LEASE);
    let claimed = store.claim(&listed[0], now, until).await.unwrap().unwrap();
    assert_eq!(
        (claimed.run, claimed.lease.epoch, claimed.cursor),
        (run.run, 2, 2)
    );
    assert_eq!(store.claim(&listed[0], now, until).await.unwrap(), None);
    // even when it has expired again: that is another listing's
    assert_eq!(store.claim(&listed[0], until, until).await.unwrap(), None);
    store.renew_lease(&second, 1, until).await.unwrap();
    assert_eq!(store.claim(&listed[1], now, until).await.unwrap(), None);
}

async fn a_run_that_nobody_drives_is_ended(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    let listed = expired_now(&*store, expires()).await;
    store
        .fail(&listed[0], vec![entry("seen failed")], expires())
        .await
        .unwrap();
    let seen = store.run(&ann(), run.run).await.unwrap();
    assert_eq!(
        (seen.state, seen.finished, seen.cursor),
        (RunState::Failed, Some(expires()), 3)
    );
    let session = store.session(&ann(), run.session).await.unwrap();
    assert_eq!(
        (session.active_run, session.turns, session.updated),
        (None, 0, expires())
    );
    store
        .fail(&listed[0], vec![entry("seen again")], expires())
        .await
        .unwrap();
    assert_eq!(journal(&*store, &run).await.len(), 3);
    let (driven, _) = begun(&*store).await;
    let listed = expired_now(&*store, expires()).await;
    store
        .acquire_lease(&driven, expires(), expires().plus(LEASE))
        .await
        .unwrap();
    store
        .fail(&listed[0], vec![entry("seen failed")], expires())
        .await
        .unwrap();
    assert_eq!(
        store.run(&ann(), driven.run).await.unwrap().state,
        RunState::Active
    );
}

async fn a_wish_to_stop_reaches_the_driver_and_the_first_stays(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    for _ in 0..2 {
        assert_eq!(
            store.request_cancel(&run, "enough").await.unwrap(),
            RunState::Active
        );
    }
    let (_, progress) = store.renew_lease(&run, 1, expires()).await.unwrap();
    assert!(progress.cancel_requested);
    let progress = store.append(&run, 1, 2, vec![entry("on")], NOW).await.unwrap();
    assert!(progress.cancel_requested);
    let end = Finish {
        state: RunState::Cancelled,
        ..finish(&run, 1, &[])
    };
    store.finish_turn(end).await.unwrap();
    assert_eq!(
        store.request_cancel(&run, "late").await.unwrap(),
        RunState::Cancelled
    );
    let unknown = store.request_cancel(&run_in(run.session), "x").await;
    assert!(matches!(unknown, Err(Error::NotFound(_))), "{unknown:?}");
}

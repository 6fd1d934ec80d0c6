//! Who may drive a run, and until when.

use super::place::{Place, on_each};
use super::*;

on_each![
    a_lease_is_held_until_it_expires_and_an_epoch_fences_its_last_holder,
    a_lease_is_renewed_and_given_up_by_its_holder_only,
    what_comes_after_a_lease_was_given_up_changes_nothing,
    many_leases_are_renewed_at_once_and_each_is_answered_by_itself,
    a_claim_takes_what_was_listed_and_nothing_newer,
    a_run_that_nobody_drives_is_ended,
    runs_under_way_are_counted,
    a_wish_to_stop_reaches_the_driver_and_the_first_stays,
];

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
    assert_eq!(renew(&*store, &run, 1, until).await, Renewal::Lost);
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
    assert_eq!(renew(&*store, &run, 1, later).await, KEPT);
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
    assert!(is_lost(&store.release_lease(&run, 1, NOW).await));
    assert_eq!(renew(&*store, &run, 1, later).await, Renewal::Lost);
    assert_eq!(renew(&*store, &run, lease.epoch, later).await, KEPT);
}

async fn what_comes_after_a_lease_was_given_up_changes_nothing(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    store.release_lease(&run, 1, NOW).await.unwrap();
    assert_eq!(renew(&*store, &run, 1, expires()).await, Renewal::Lost);
    assert!(is_lost(&store.append(&run, 1, 2, vec![entry("late")], NOW).await));
    assert!(is_lost(&store.finish_turn(finish(&run, 1, &["late"])).await));
    let listed = expired_now(&*store, NOW).await;
    assert_eq!(listed.len(), 1, "it can be claimed at once, and still");
    let claimed = store.claim(&listed[0], NOW, expires()).await.unwrap().unwrap();
    assert_eq!(renew(&*store, &run, claimed.lease.epoch, expires()).await, KEPT);
}

async fn many_leases_are_renewed_at_once_and_each_is_answered_by_itself(place: Place) {
    let store = place.open().await;
    let (kept, _) = begun(&*store).await;
    let (taken, _) = begun(&*store).await;
    store.acquire_lease(&taken, expires(), expires()).await.unwrap();
    let (ended, _) = begun(&*store).await;
    store.finish_turn(finish(&ended, 1, &["a"])).await.unwrap();
    let (stopping, _) = begun(&*store).await;
    store.request_cancel(&stopping, "enough").await.unwrap();
    let unknown = run_in(kept.session);
    let foreign = RunPrincipal {
        tenant: "other".parse().unwrap(),
        ..kept.clone()
    };
    let asked = [
        (&unknown, 1),
        (&taken, 1),
        (&kept, 1),
        (&ended, 1),
        (&stopping, 1),
        (&foreign, 1),
        (&taken, 2),
        (&kept, u64::MAX),
        (&kept, 1),
    ];
    let leases = asked.map(|(run, epoch)| held(run, epoch)).to_vec();
    let until = expires().plus(LEASE);
    let renewed = store.renew_leases(leases, until).await.unwrap();
    let wished = Renewal::Held {
        cancel_requested: true,
    };
    assert_eq!(
        renewed,
        [
            Renewal::Ended,
            Renewal::Lost,
            KEPT,
            Renewal::Ended,
            wished,
            Renewal::Ended,
            KEPT,
            Renewal::Lost,
            KEPT,
        ]
    );
    assert_eq!(expired_now(&*store, expires()).await, []);
    assert_eq!(expired_now(&*store, until).await.len(), 3);
}

async fn a_claim_takes_what_was_listed_and_nothing_newer(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    let (second, _) = begun(&*store).await;
    renew(&*store, &second, 1, expires().plus(LEASE)).await;
    assert_eq!(expired_now(&*store, NOW).await, []);
    let now = expires().plus(LEASE);
    let listed = expired_now(&*store, now).await;
    let runs: Vec<_> = listed.iter().map(|expired| expired.run).collect();
    assert_eq!(runs, [run.run, second.run], "the longest expired first");
    let first = store.expired(now, None, 1).await.unwrap();
    assert_eq!(first.runs, listed[..1]);
    let rest = store.expired(now, first.next, 9).await.unwrap();
    assert_eq!((rest.runs.as_slice(), rest.next), (&listed[1..], None));
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
    assert_eq!(renew(&*store, &second, 1, until).await, KEPT);
    assert_eq!(store.claim(&listed[1], now, until).await.unwrap(), None);
}

async fn a_run_that_nobody_drives_is_ended(place: Place) {
    let store = place.open().await;
    for state in [RunState::Failed, RunState::Cancelled] {
        let (run, _) = begun(&*store).await;
        let listed = expired_now(&*store, expires()).await;
        let end = async |word| {
            let entries = vec![entry(word)];
            store.end(&listed[0], state, entries, expires()).await.unwrap()
        };
        assert!(end("seen ended").await);
        let seen = store.run(&ann(), run.run).await.unwrap();
        assert_eq!(
            (seen.state, seen.finished, seen.cursor),
            (state, Some(expires()), 3)
        );
        let session = store.session(&ann(), run.session).await.unwrap();
        assert_eq!(
            (session.active_run, session.turns, session.updated),
            (None, 0, expires())
        );
        assert!(!end("seen again").await);
        assert_eq!(journal(&*store, &run).await.len(), 3);
    }
    let (driven, _) = begun(&*store).await;
    let listed = expired_now(&*store, expires()).await;
    let until = expires().plus(LEASE);
    store.acquire_lease(&driven, expires(), until).await.unwrap();
    let ended = store.end(
        &listed[0],
        RunState::Failed,
        vec![entry("seen failed")],
        expires(),
    );
    assert!(!ended.await.unwrap());
    assert_eq!(
        store.run(&ann(), driven.run).await.unwrap().state,
        RunState::Active
    );
}

async fn a_wish_to_stop_reaches_the_driver_and_the_first_stays(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    assert!(!expired_now(&*store, expires()).await[0].cancel_requested);
    for _ in 0..2 {
        assert_eq!(
            store.request_cancel(&run, "enough").await.unwrap(),
            RunState::Active
        );
    }
    let wished = Renewal::Held {
        cancel_requested: true,
    };
    assert_eq!(renew(&*store, &run, 1, expires()).await, wished);
    let progress = store.append(&run, 1, 2, vec![entry("on")], NOW).await.unwrap();
    assert!(progress.cancel_requested);
    let listed = expired_now(&*store, expires()).await;
    assert!(listed[0].cancel_requested && listed[0].since == expires());
    let claimed = store.claim(&listed[0], expires(), expires()).await.unwrap();
    assert!(claimed.unwrap().cancel_requested, "whoever takes it over ends it");
    let end = Finish {
        state: RunState::Cancelled,
        ..finish(&run, 2, &[])
    };
    store.finish_turn(end).await.unwrap();
    assert_eq!(
        store.request_cancel(&run, "late").await.unwrap(),
        RunState::Cancelled
    );
    let unknown = store.request_cancel(&run_in(run.session), "x").await;
    assert!(matches!(unknown, Err(Error::NotFound(_))), "{unknown:?}");
}

async fn runs_under_way_are_counted(place: Place) {
    let store = place.open().await;
    let active = async |now| {
        let runs = store.active(now).await.unwrap();
        (runs.all, runs.unclaimed)
    };
    assert_eq!(active(NOW).await, (0, 0));
    let (given_up, _) = begun(&*store).await;
    let (ended, _) = begun(&*store).await;
    begun(&*store).await;
    assert_eq!((active(NOW).await, active(expires()).await), ((3, 0), (3, 3)));
    store.release_lease(&given_up, 1, NOW).await.unwrap();
    store.finish_turn(finish(&ended, 1, &["answer"])).await.unwrap();
    assert_eq!((active(NOW).await, active(expires()).await), ((2, 1), (2, 2)));
}

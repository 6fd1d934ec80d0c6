//! What the store does not keep: a person's decision after the deadline, more requests than may wait, and what was decided
//! long ago.

use super::*;
use crate::domain::Whose;

on_each![
    a_person_decides_before_the_deadline_by_the_clock_at_the_write,
    a_person_decides_before_the_deadline_however_long_another_holds_the_request,
    no_more_wait_than_may_however_many_ask,
    what_nobody_can_decide_takes_no_place_for_ever,
    who_waits_for_a_turn_is_in_the_way_of_no_other,
    what_was_decided_long_ago_is_removed_and_nothing_else,
];

async fn a_person_decides_before_the_deadline_by_the_clock_at_the_write(place: Place) {
    let store = place.open().await;
    let run = run("a");
    let (yes, no) = (
        decided(Decision::Approved, Some("bob")),
        decided(Decision::Denied, Some("bob")),
    );
    for late in [yes.clone(), no] {
        let asked = add(&*store, approval(&run, "1", NOW)).await;
        let clock = Arc::new(ManualClock::at(NOW));
        let shared: Arc<dyn Clock> = clock.clone();
        // begun in time, and executed at the deadline
        let deciding = store.decide(&run.tenant, asked.id, late, &shared);
        clock.advance(NOW.until(asked.deadline));
        assert_eq!(deciding.await.unwrap(), Some(asked.clone()), "nobody has decided");
        assert_eq!(
            store.approval(&run.tenant, asked.id).await.unwrap(),
            Some(asked.clone())
        );
        let expired = decided(Decision::Expired, None);
        let kept = store
            .decide(&run.tenant, asked.id, expired.clone(), &shared)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(kept.decided, Some(expired));
    }
    let asked = add(&*store, approval(&run, "1", NOW)).await;
    let moment = Timestamp::from_millis(asked.deadline.as_millis() - 1);
    let shared: Arc<dyn Clock> = Arc::new(ManualClock::at(moment));
    let kept = store
        .decide(&run.tenant, asked.id, yes.clone(), &shared)
        .await
        .unwrap();
    assert_eq!(kept.unwrap().decided, Some(yes));
}

/// Waits until so many others wait for a lock of that kind.
async fn until_waiting(beside: &mut PgConnection, kind: &str, count: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = $1";
    loop {
        let counted: i64 = sqlx::query_scalar(waiting)
            .bind(kind)
            .fetch_one(&mut *beside)
            .await
            .unwrap();
        if counted >= count {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn a_person_decides_before_the_deadline_however_long_another_holds_the_request(place: Place) {
    let store = place.open().await;
    let asked = add(&*store, approval(&run("a"), "1", NOW)).await;
    let clock = Arc::new(ManualClock::at(NOW));
    let (mut holder, mut beside) = (place.beside().await, place.beside().await);
    if let Some(holder) = &mut holder {
        sqlx::raw_sql("BEGIN; SELECT FROM harombe_hitl.approvals FOR UPDATE")
            .execute(holder)
            .await
            .unwrap();
    }
    let shared: Arc<dyn Clock> = clock.clone();
    let yes = decided(Decision::Approved, Some("bob"));
    let deciding = store.decide(asked.tenant(), asked.id, yes, &shared);
    let passing = async {
        if let Some(beside) = &mut beside {
            until_waiting(beside, "transactionid", 1).await;
        }
        clock.advance(NOW.until(asked.deadline));
        if let Some(holder) = holder {
            holder.close().await.unwrap();
        }
    };
    let ((), kept) = tokio::join!(biased; passing, deciding);
    assert_eq!(kept.unwrap(), Some(asked.clone()), "nobody has decided");
}

/// A new request of that subject of tenant a.
fn asks(subject: &str) -> Approval {
    let run = RunPrincipal {
        subject: subject.parse().unwrap(),
        ..run("a")
    };
    approval(&run, "1", NOW)
}

async fn no_more_wait_than_may_however_many_ask(place: Place) {
    let replicas = place.replicas().await;
    let few = PendingLimits {
        per_subject: 4,
        per_tenant: 6,
    };
    let ask = async |store: &dyn Store, one| store.add_approval(one, few).await.unwrap();
    let asked: Vec<_> = (0..24).map(|_| asks("ann")).collect();
    let added = all(&replicas, &asked, &ask).await;
    let is_kept = |added: &&Added| matches!(added, Added::Kept(_));
    assert_eq!(added.iter().filter(is_kept).count(), 4, "{added:?}");
    let store = &*replicas[0];
    for (asked, added) in asked.iter().zip(&added) {
        let found = store.approval(asked.tenant(), asked.id).await.unwrap();
        match added {
            Added::Kept(kept) => assert_eq!(found.as_ref(), Some(&**kept)),
            Added::Full(whose) => assert_eq!((*whose, found), (Whose::Subject, None)),
        }
    }
    // whoever has asked before is answered, though there is no room
    let kept = asked.iter().zip(&added).find(|(_, added)| is_kept(added));
    let (first, kept) = kept.unwrap();
    let again = Approval {
        id: ApprovalId::generate(&SystemClock),
        ..first.clone()
    };
    assert_eq!(ask(store, again).await, *kept);

    let others: Vec<_> = (0..24).map(|number| asks(["bob", "eve"][number % 2])).collect();
    let added = all(&replicas, &others, &ask).await;
    let (kept, refused): (Vec<_>, Vec<_>) = added.iter().partition(is_kept);
    assert_eq!(kept.len(), 2, "{added:?}");
    assert!(refused.iter().all(|one| **one == Added::Full(Whose::Tenant)));
    let elsewhere = approval(&run("b"), "1", NOW);
    assert!(is_kept(&&ask(store, elsewhere).await));

    // a decision makes room for one
    let no = decided(Decision::Denied, Some("bob"));
    store
        .decide(first.tenant(), first.id, no, &clock())
        .await
        .unwrap();
    let added = all(&replicas, &[asks("ann"), asks("ann"), asks("ann")], &ask).await;
    assert_eq!(added.iter().filter(is_kept).count(), 1, "{added:?}");
}

async fn what_nobody_can_decide_takes_no_place_for_ever(place: Place) {
    let store = place.open().await;
    let one = PendingLimits {
        per_subject: 1,
        per_tenant: 1,
    };
    let stuck = add(&*store, asks("ann")).await;
    let hour = stuck.deadline.plus(Duration::from_secs(60 * 60));
    let ask = async |requested_at| {
        let new = approval(&run("a"), "1", requested_at);
        store.add_approval(new, one).await.unwrap()
    };
    let moment = Timestamp::from_millis(hour.as_millis() - 1);
    assert_eq!(ask(moment).await, Added::Full(Whose::Subject));
    assert!(matches!(ask(hour).await, Added::Kept(_)));
    assert_eq!(ask(hour).await, Added::Full(Whose::Subject), "the new one counts");
    let overdue = store.overdue(hour, None, 9).await.unwrap();
    assert_eq!(overdue, [(stuck.tenant().clone(), stuck.id)], "not given up");
}

async fn who_waits_for_a_turn_is_in_the_way_of_no_other(place: Place) {
    let store = place.open().await;
    let most = |per_subject| PendingLimits {
        per_subject,
        per_tenant: 1000,
    };
    add(&*store, asks("ann")).await;
    // somebody takes the tenant's turn and does not let it go, as a process that froze
    let mut beside = place.beside().await;
    if let Some(beside) = &mut beside {
        sqlx::query("SELECT pg_advisory_lock(hashtextextended('harombe_hitl a', 0))")
            .execute(beside)
            .await
            .unwrap();
    }

    // far from a limit, and where there is no room, nobody waits for the turn
    add(&*store, asks("ann")).await;
    let full = store.add_approval(asks("ann"), most(2)).await.unwrap();
    assert_eq!(full, Added::Full(Whose::Subject));

    let asking: Vec<_> = (0..16)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.add_approval(asks("ann"), most(64)).await })
        })
        .collect();
    if let Some(mut beside) = beside {
        until_waiting(&mut beside, "advisory", 2).await;
        for _ in 0..50 {
            let spent = redemption(&run("a"), CallId::generate(&SystemClock));
            store.redeem(spent).await.unwrap();
        }
        // with its turn
        beside.close().await.unwrap();
    }
    for added in asking {
        assert!(matches!(added.await.unwrap().unwrap(), Added::Kept(_)));
    }
}

async fn what_was_decided_long_ago_is_removed_and_nothing_else(place: Place) {
    let replicas = place.replicas().await;
    let store = &*replicas[0];
    let run = run("a");
    let later = NOW.plus(Duration::from_millis(1));
    let mut asked = Vec::new();
    for _ in 0..8 {
        asked.push(add(store, approval(&run, "1", NOW)).await);
    }
    // the last three: decided later, decided and not in the log, not decided
    for (number, one) in asked[..7].iter().enumerate() {
        let mut no = decided(Decision::Denied, Some("bob"));
        no.at = if number == 5 { later } else { NOW };
        store.decide(one.tenant(), one.id, no, &clock()).await.unwrap();
        store.mark(vec![Mark::Request(one.id)]).await.unwrap();
        if number != 6 {
            store.mark(vec![Mark::Decision(one.id)]).await.unwrap();
        }
    }
    store.mark(vec![Mark::Request(asked[7].id)]).await.unwrap();
    let spent = redemption(&run, call_of(&asked[0]));
    store.redeem(spent.clone()).await.unwrap();

    let remove = async |store: &dyn Store, before| store.remove_decided(before, 2).await.unwrap();
    assert_eq!(remove(store, NOW).await, 0);
    let removed = all(&replicas, &[later; 6], remove).await;
    assert_eq!(removed.iter().sum::<u64>(), 5, "{removed:?}");
    assert!(removed.iter().all(|removed| *removed <= 2));
    for (number, one) in asked.iter().enumerate() {
        let found = store.approval(one.tenant(), one.id).await.unwrap();
        assert_eq!(found.is_some(), number >= 5, "{number}");
    }
    let kept = store.redemption(&run.tenant, run.run, spent.call).await.unwrap();
    assert_eq!(kept, Some(spent));
}

//! What the store refuses to keep: a person's decision after the deadline.

use super::*;

on_each![a_person_decides_before_the_deadline_by_the_clock_at_the_write];

async fn a_person_decides_before_the_deadline_by_the_clock_at_the_write(place: Place) {
    let store = place.open().await;
    let run = run("a");
    let (yes, no) = (
        decided(Decision::Approved, Some("bob")),
        decided(Decision::Denied, Some("bob")),
    );
    for late in [yes.clone(), no] {
        let asked = store.add_approval(approval(&run, "1", NOW)).await.unwrap();
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
    let asked = store.add_approval(approval(&run, "1", NOW)).await.unwrap();
    let moment = Timestamp::from_millis(asked.deadline.as_millis() - 1);
    let shared: Arc<dyn Clock> = Arc::new(ManualClock::at(moment));
    let kept = store
        .decide(&run.tenant, asked.id, yes.clone(), &shared)
        .await
        .unwrap();
    assert_eq!(kept.unwrap().decided, Some(yes));
}

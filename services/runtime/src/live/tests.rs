use std::time::Duration;

use futures_util::StreamExt as _;
use harombe_proto::types::v1::{RunStarted, TextDelta};
use harombe_types::SystemClock;

use super::*;

const TTL: Duration = Duration::from_secs(9);

fn principal() -> RunPrincipal {
    harombe_testkit::run("ann", &SystemClock)
}

fn lease() -> Lease {
    Lease {
        epoch: 1,
        term: Term::new(Instant::now(), TTL),
    }
}

fn journalled(cursor: u64) -> RunEvent {
    let event = Some(Event::RunStarted(RunStarted::default()));
    RunEvent {
        cursor,
        event,
        ..RunEvent::default()
    }
}

fn delta(offset: u64) -> RunEvent {
    let event = Some(Event::TextDelta(TextDelta {
        offset,
        ..TextDelta::default()
    }));
    RunEvent {
        event,
        ..RunEvent::default()
    }
}

#[tokio::test]
async fn a_listener_that_lags_misses_deltas_and_nothing_else() {
    let hub = Hub::default();
    let driving = hub.drive(&principal(), lease()).unwrap();
    let run = Arc::clone(driving.run());
    run.journalled(vec![journalled(1)]);
    let events = run.events();
    for offset in 0..5000 {
        run.passing(delta(offset));
    }
    run.journalled(vec![journalled(2), journalled(3)]);
    drop(driving);
    run.passing(delta(9));
    let cursors: Vec<_> = events
        .filter(|event| std::future::ready(!is_passing(event)))
        .map(|event| event.cursor)
        .collect()
        .await;
    assert_eq!(cursors, [1, 2, 3]);
    let late: Vec<_> = run.events().map(|event| event.cursor).collect().await;
    assert_eq!(late, [1, 2, 3]);
    assert!(hub.get(run.id).is_none());
}

#[tokio::test]
async fn a_listener_that_lagged_goes_on_listening() {
    let hub = Hub::default();
    let driving = hub.drive(&principal(), lease()).unwrap();
    let run = Arc::clone(driving.run());
    let mut events = std::pin::pin!(run.events());
    for offset in 0..5000 {
        run.passing(delta(offset));
    }
    run.journalled(vec![journalled(1)]);
    while events.next().await.unwrap().cursor != 1 {}
    run.passing(delta(9));
    run.journalled(vec![journalled(2)]);
    assert_eq!(events.next().await.unwrap(), delta(9));
    assert_eq!(events.next().await.unwrap(), journalled(2));
}

#[test]
fn listeners_that_went_away_are_forgotten() {
    let hub = Hub::default();
    let driving = hub.drive(&principal(), lease()).unwrap();
    for _ in 0..100 {
        drop(driving.run().events());
    }
    let told = driving.run().told.lock();
    assert_eq!(told.live.as_ref().map(Vec::len), Some(1), "only the last one");
}

#[test]
fn a_run_is_driven_once() {
    let hub = Hub::default();
    let principal = principal();
    let driving = hub.drive(&principal, lease()).unwrap();
    assert!(hub.drive(&principal, lease()).is_none());
    drop(driving);
    assert!(hub.drive(&principal, lease()).is_some());
}

#[tokio::test(start_paused = true)]
async fn leases_that_can_be_renewed_together_are() {
    let hub = Hub::default();
    let due = |hub: &Hub| hub.due(Instant::now()).len();
    let _first = hub.drive(&principal(), lease()).unwrap();
    tokio::time::advance(TTL / 9).await;
    let _second = hub.drive(&principal(), lease()).unwrap();
    assert_eq!(due(&hub), 0);
    tokio::time::advance(TTL / 9).await;
    let third = hub.drive(&principal(), lease()).unwrap();
    tokio::time::advance(TTL / 9).await;
    assert_eq!(due(&hub), 2, "the third was taken just now");
    for run in hub.due(Instant::now()) {
        run.renewed(lease().term);
    }
    assert_eq!(due(&hub), 0);
    third.run().ended();
    tokio::time::advance(TTL).await;
    assert_eq!(due(&hub), 2, "of a run that has ended there is nothing to renew");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_over_when_it_was_not_renewed_or_is_lost() {
    let hub = Hub::default();
    let driving = hub.drive(&principal(), lease()).unwrap();
    let run = Arc::clone(driving.run());
    let begun = Instant::now();
    let over = tokio::spawn({
        let run = Arc::clone(&run);
        async move { run.lease_over().await }
    });
    tokio::time::sleep(TTL / 2).await;
    run.renewed(lease().term);
    over.await.unwrap();
    assert_eq!(begun.elapsed(), TTL / 2 + TTL);
    run.renewed(lease().term);
    run.lost();
    run.lease_over().await;
    assert_eq!(begun.elapsed(), TTL / 2 + TTL, "at once");
}

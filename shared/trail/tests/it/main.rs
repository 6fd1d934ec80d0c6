//! What a service may rely on when it records: nothing lost, nothing twice, no gaps, and never a silent wait.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use harombe_error::{Code, Reason, ServiceError as _};
use harombe_rpc::{Refusals as _, TaskSet};
use harombe_testkit::{AuditSink, Fault, TestPki, clock, person, run, tenant};
use harombe_trail::{Error, Event, Kind, Outcome, PATIENCE, QUEUE, Trail, WINDOW};
use harombe_types::{CallId, EventId, ManualClock, Principal, ServiceName};
use serde_json::json;

struct World {
    clock: Arc<ManualClock>,
    sink: AuditSink,
    tasks: TaskSet,
    trail: Trail,
}

impl World {
    fn new() -> Self {
        let clock = clock();
        let sink = AuditSink::new(&TestPki::new(clock.clone()), clock.clone());
        let tasks = TaskSet::new();
        let trail = sink.trail(ServiceName::Hitl, clock.clone(), &tasks);
        Self {
            clock,
            sink,
            tasks,
            trail,
        }
    }

    /// Every sequence number from 1 once, in log order, all of one instance.
    fn assert_no_gaps(&self) {
        let events = self.sink.events();
        let numbers: Vec<_> = events.iter().map(|event| event.instance_seq).collect();
        assert_eq!(
            numbers,
            (1..=u64::try_from(events.len()).unwrap()).collect::<Vec<_>>()
        );
        let instances: BTreeSet<_> = events.iter().map(|event| &event.instance).collect();
        assert!(instances.len() <= 1);
    }
}

fn event(kind: Kind) -> Event {
    Event::new(kind, &tenant("local"))
}

#[tokio::test]
async fn an_event_arrives_as_it_was_built() {
    let world = World::new();
    let run = run("ann", &*world.clock);
    let (call, id) = (CallId::generate(&*world.clock), EventId::generate(&*world.clock));
    let built = event(Kind::GrantRefused)
        .principal(&Principal::Run(run.clone()))
        .call(call)
        .outcome(Outcome::Denied)
        .policy_version("3")
        .details(json!({"why": "test"}))
        .id(id);
    world.trail.record(built.clone()).await.unwrap();
    world
        .trail
        .record(event(Kind::KeyCreated).principal(&Principal::Person(person("bob"))))
        .await
        .unwrap();
    // The same id again is the same event.
    world.trail.record(built).await.unwrap();

    let events = world.sink.events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].event_id, id.to_string());
    assert_eq!(events[0].kind, "grant.refused");
    assert_eq!((&*events[0].principal, &*events[0].subject), ("run", "ann"));
    assert_eq!(events[0].agent, "default");
    assert_eq!(events[0].run_id, run.run.to_string());
    assert_eq!(events[0].session_id, run.session.to_string());
    assert_eq!(events[0].call_id, call.to_string());
    assert_eq!((&*events[0].outcome, &*events[0].policy_version), ("denied", "3"));
    assert_eq!(events[0].details, r#"{"why":"test"}"#);
    assert_eq!(events[0].time.unwrap().seconds, harombe_testkit::NOW.as_secs());
    assert_eq!(
        (&*events[1].principal, &*events[1].outcome, &*events[1].details),
        ("person:bob", "ok", "{}")
    );
    assert_eq!((events[0].instance_seq, events[1].instance_seq), (1, 2));
}

#[tokio::test]
async fn many_callers_share_batches_and_leave_no_gap() {
    let world = World::new();
    let callers: Vec<_> = (0..600)
        .map(|_| {
            let trail = world.trail.clone();
            tokio::spawn(async move { trail.record(event(Kind::CallAuthorized)).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(world.sink.events().len(), 600);
    world.assert_no_gaps();
    let batches = world.sink.batches();
    assert!(
        batches.len() < 600 && batches.iter().all(|size| *size <= 256),
        "{batches:?}"
    );
}

#[tokio::test]
async fn a_first_id_shares_batches_and_one_that_was_taken_elsewhere_leaves_no_gap() {
    let world = World::new();
    let elsewhere = TaskSet::new();
    let other = world
        .sink
        .trail(ServiceName::Hitl, world.clock.clone(), &elsewhere);
    let ids: Vec<_> = (0..60).map(|_| EventId::generate(&*world.clock)).collect();
    // Every sixth is in the log already, by another process.
    for id in ids.iter().step_by(6) {
        other.record(event(Kind::MemorySaved).id(*id)).await.unwrap();
    }
    let callers: Vec<_> = ids
        .iter()
        .map(|id| {
            let (trail, id) = (world.trail.clone(), *id);
            tokio::spawn(async move {
                trail
                    .place_within(PATIENCE, event(Kind::MemorySaved).first_id(id))
                    .await
            })
        })
        .collect();
    let mut indexes = BTreeSet::new();
    for caller in callers {
        indexes.insert(caller.await.unwrap().unwrap());
    }
    assert_eq!(indexes, (0..60).collect());
    // As many more as fill what was left open.
    for _ in 0..20 {
        world.trail.record(event(Kind::MemorySaved)).await.unwrap();
    }
    let mine = |other: bool| {
        let events = world.sink.events();
        let first = events[0].instance.clone();
        let mut numbers: Vec<_> = events
            .iter()
            .filter(|event| (event.instance == first) == other)
            .map(|event| event.instance_seq)
            .collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(mine(true), (1..=10).collect::<Vec<_>>());
    assert_eq!(mine(false), (1..=70).collect::<Vec<_>>());
    let batches = world.sink.batches();
    assert!(batches.len() < 30 + 50, "{batches:?}");
}

#[tokio::test(start_paused = true)]
async fn without_audit_the_act_is_refused_and_the_event_is_not_lost() {
    let world = World::new();
    world.sink.fail(Fault::Unavailable);
    let begun = tokio::time::Instant::now();
    let refused = world.trail.record(event(Kind::ExecStarted)).await.unwrap_err();
    assert_eq!(begun.elapsed(), PATIENCE);
    assert_eq!(
        (refused.code(), refused.reason()),
        (Code::Unavailable, Reason::AuditUnavailable)
    );
    assert!(refused.retry_after().is_some());
    assert!(world.sink.events().is_empty());

    world.sink.fail(Fault::None);
    world.trail.record(event(Kind::ExecFinished)).await.unwrap();
    let kinds: Vec<_> = world.sink.events().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["exec.started", "exec.finished"]);
    world.assert_no_gaps();
}

#[tokio::test(start_paused = true)]
async fn what_has_happened_is_recorded_once_however_long_that_takes() {
    let world = World::new();
    world.sink.fail(Fault::Unavailable);
    let (recorded, ()) = tokio::join!(
        world.trail.record_within(PATIENCE * 20, event(Kind::RunFinished)),
        async {
            tokio::time::sleep(PATIENCE * 10).await;
            world.sink.fail(Fault::None);
        }
    );
    recorded.unwrap();
    assert_eq!(world.sink.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_makes_no_second_event() {
    let world = World::new();
    world.sink.fail(Fault::AnswerLost);
    let (recorded, ()) = tokio::join!(world.trail.record(event(Kind::RunStarted)), async {
        world.sink.wait_for(1).await;
        world.sink.fail(Fault::None);
    });
    recorded.unwrap();
    world.trail.record(event(Kind::RunFinished)).await.unwrap();
    assert_eq!(world.sink.events().len(), 2);
    assert!(world.sink.batches().len() > 2, "it was sent again");
    world.assert_no_gaps();
}

#[tokio::test]
async fn an_event_that_is_recorded_again_uses_no_second_number() {
    let world = World::new();
    let id = EventId::generate(&*world.clock);
    let named = || event(Kind::ApprovalDecided).id(id);
    // At once, and when it has long been recorded.
    let (one, other, another) = tokio::join!(
        world.trail.record(named()),
        world.trail.record(event(Kind::GrantRedeemed)),
        world.trail.record(named())
    );
    one.unwrap();
    other.unwrap();
    another.unwrap();
    world.trail.record(named()).await.unwrap();
    world.trail.record(event(Kind::GrantRedeemed)).await.unwrap();
    assert_eq!(world.sink.events().len(), 3);
    world.assert_no_gaps();
}

#[tokio::test]
async fn an_event_that_a_process_before_recorded_uses_no_number_of_this_one() {
    let world = World::new();
    let id = EventId::generate(&*world.clock);
    let before = world
        .sink
        .trail(ServiceName::Hitl, world.clock.clone(), &world.tasks);
    before.record(event(Kind::ApprovalDecided).id(id)).await.unwrap();

    let (again, other) = tokio::join!(
        world.trail.record(event(Kind::ApprovalDecided).id(id)),
        world.trail.record(event(Kind::GrantRedeemed))
    );
    again.unwrap();
    other.unwrap();
    let events = world.sink.events();
    let numbers: Vec<_> = events.iter().map(|event| event.instance_seq).collect();
    assert_eq!(numbers, [1, 1], "one of each process: {events:?}");
}

#[tokio::test(start_paused = true)]
async fn an_audit_that_does_not_answer_holds_nobody_longer_than_patience() {
    let world = World::new();
    world.sink.fail(Fault::Silent);
    let refused = world.trail.record(event(Kind::RunStarted)).await;
    assert_eq!(refused, Err(Error::Unavailable));
    world.sink.fail(Fault::None);
    world.sink.wait_for(1).await;
    world.assert_no_gaps();
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let world = World::new();
    world.sink.fail(Fault::Unavailable);
    let waiting: Vec<_> = (0..QUEUE + 300)
        .map(|_| {
            let trail = world.trail.clone();
            tokio::spawn(async move { trail.record(event(Kind::CallAuthorized)).await })
        })
        .collect();
    let mut full = 0;
    for caller in waiting {
        let refused = caller.await.unwrap().unwrap_err();
        assert_eq!(refused.reason(), Reason::AuditUnavailable);
        full += usize::from(refused == Error::QueueFull);
    }
    assert!(full > 0);
    world.sink.fail(Fault::None);
    world.sink.wait_for(QUEUE + 300 - full).await;
    world.assert_no_gaps();
}

#[tokio::test(start_paused = true)]
async fn large_events_fill_the_queue_by_what_they_hold() {
    let world = World::new();
    world.sink.fail(Fault::Unavailable);
    let large = || event(Kind::CallAuthorized).details(serde_json::json!({ "code": "x".repeat(1_000_000) }));
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let trail = world.trail.clone();
            let large = large();
            tokio::spawn(async move { trail.record(large).await })
        })
        .collect();
    let mut taken = 0;
    for caller in waiting {
        match caller.await.unwrap() {
            Err(Error::Unavailable) => taken += 1,
            refused => assert_eq!(refused, Err(Error::QueueFull)),
        }
    }
    // Of a megabyte each, and a batch was under way.
    assert!((60..=75).contains(&taken), "{taken} were taken");
}

/// The noisy one's events fill the queue, and the quiet one's is in the batch after the one that is on its way.
#[tokio::test(start_paused = true)]
async fn a_noisy_tenant_keeps_no_other_waiting_for_more_than_one_batch() {
    let world = World::new();
    world.sink.fail(Fault::Unavailable);
    for _ in 0..QUEUE + 10 {
        world.trail.note(event(Kind::EgressClosed));
    }
    let quiet = Event::new(Kind::GrantRedeemed, &tenant("quiet"));
    let recorded = world.trail.record(quiet);
    tokio::pin!(recorded);
    assert!(
        tokio::time::timeout(Duration::from_millis(1), &mut recorded)
            .await
            .is_err()
    );
    world.sink.fail(Fault::None);
    recorded.await.unwrap();
    let events = world.sink.events();
    let before = events.iter().position(|event| event.tenant == "quiet").unwrap();
    assert!(before <= 256 + 1, "{before} were before it");
    world.tasks.shutdown(Duration::from_secs(60)).await;
    world.assert_no_gaps();
}

#[tokio::test(start_paused = true)]
async fn a_rejected_event_stops_nobody_else_and_leaves_no_gap() {
    let world = World::new();
    // Let a batch build up behind an unavailable sink, with one bad event in the middle.
    world.sink.fail(Fault::Unavailable);
    let first = tokio::spawn({
        let trail = world.trail.clone();
        async move { trail.record(event(Kind::RunStarted)).await }
    });
    let good: Vec<_> = (0..20)
        .map(|number| {
            let trail = world.trail.clone();
            let kind = if number == 11 {
                Kind::KeyRevoked
            } else {
                Kind::CallAuthorized
            };
            (kind, tokio::spawn(async move { trail.record(event(kind)).await }))
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.sink.fail(Fault::Rejects(Kind::KeyRevoked));
    first.await.unwrap().unwrap();
    for (kind, caller) in good {
        let result = caller.await.unwrap();
        if kind == Kind::KeyRevoked {
            let rejected = result.unwrap_err();
            assert!(matches!(rejected, Error::Rejected(_)));
            assert_eq!(rejected.code(), Code::Internal);
        } else {
            result.unwrap();
        }
    }
    assert_eq!(world.sink.events().len(), 20);
    world.assert_no_gaps();
    world.trail.record(event(Kind::RunFinished)).await.unwrap();
    world.assert_no_gaps();
}

#[tokio::test]
async fn what_audit_could_never_take_is_refused_here() {
    let world = World::new();
    let refused = world
        .trail
        .record(event(Kind::RunStarted).details(json!([1])))
        .await;
    assert_eq!(refused, Err(Error::Details));
    let big = event(Kind::RunStarted).details(json!({"text": "x".repeat(1024 * 1024)}));
    assert!(matches!(
        world.trail.record(big).await,
        Err(Error::TooLarge { .. })
    ));
    // Many that are large are sent in several messages.
    let large = || event(Kind::RunStarted).details(json!({"text": "x".repeat(900 * 1024)}));
    let (a, b, c, d, e) = tokio::join!(
        world.trail.record(large()),
        world.trail.record(large()),
        world.trail.record(large()),
        world.trail.record(large()),
        world.trail.record(large()),
    );
    for result in [a, b, c, d, e] {
        result.unwrap();
    }
    world.assert_no_gaps();
}

fn counts(world: &World) -> Vec<u64> {
    let details = world
        .sink
        .of_kind(Kind::RpcRefused)
        .into_iter()
        .map(|event| event.details);
    let count =
        |details: String| serde_json::from_str::<serde_json::Value>(&details).unwrap()["count"].as_u64();
    details.map(|details| count(details).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn refusals_are_counted_in_windows() {
    let world = World::new();
    let refuse = |method: &str| {
        world
            .trail
            .refused(Some(ServiceName::Runtime), method, Reason::NotAllowed);
    };
    for _ in 0..5 {
        refuse("/a/b");
    }
    refuse("/a/c");
    world.sink.wait_for(2).await;
    assert_eq!(counts(&world), [1, 1], "the first of each at once");

    world.clock.advance(WINDOW);
    world.sink.wait_for(3).await;
    assert_eq!(counts(&world), [1, 1, 4], "the others when their window ends");
    refuse("/a/b");
    world.clock.advance(WINDOW);
    world.sink.wait_for(4).await;
    assert_eq!(counts(&world), [1, 1, 4, 1]);

    let first = world.sink.events().remove(0);
    assert_eq!(
        (&*first.outcome, &*first.tenant, &*first.principal),
        ("denied", "local", "service")
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&first.details).unwrap(),
        json!({"caller": "runtime", "method": "/a/b", "reason": "NOT_ALLOWED", "count": 1}),
    );
}

#[tokio::test(start_paused = true)]
async fn shutdown_writes_what_is_queued_and_counted_and_takes_no_more() {
    let world = World::new();
    for _ in 0..3 {
        world.trail.refused(None, "/a/b", Reason::Unauthenticated);
    }
    for _ in 0..300 {
        world.trail.note(event(Kind::EgressClosed));
    }
    assert_eq!(world.tasks.shutdown(Duration::from_secs(5)).await, 0);
    assert_eq!(world.sink.of_kind(Kind::EgressClosed).len(), 300);
    assert_eq!(counts(&world), [1, 2]);
    world.assert_no_gaps();
    let late = world.trail.record(event(Kind::RunStarted)).await.unwrap_err();
    assert_eq!(late.reason(), Reason::AuditUnavailable);
}

#[tokio::test(start_paused = true)]
async fn refusals_of_nobody_are_in_the_operators_log() {
    let world = World::new();
    let tasks = TaskSet::new();
    let service = ServiceName::Gateway;
    let trail = Trail::start(
        world.sink.channel(service),
        service,
        tenant("acme"),
        world.clock.clone(),
        &tasks,
    );
    assert_eq!(trail.operator(), &tenant("acme"));
    trail.refused(None, "/a/b", Reason::Unauthenticated);
    trail.refused(None, "/a/b", Reason::Unauthenticated);
    assert_eq!(tasks.shutdown(Duration::from_secs(5)).await, 0);
    let refused = world.sink.of_kind(Kind::RpcRefused);
    let tenants: Vec<_> = refused.iter().map(|event| &*event.tenant).collect();
    assert_eq!(
        tenants,
        ["acme", "acme"],
        "the first at once, the second at the end"
    );
}

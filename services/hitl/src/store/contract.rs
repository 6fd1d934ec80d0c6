//! The suite that every adapter of the store passes, on each database.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harombe_canonical::{CallParts, CanonicalCall};
use harombe_sql::pg::PgConnection;
use harombe_sql::{PostgresConfig, StoreConfig};
use harombe_testkit::postgres::Database;
use harombe_types::{
    ApprovalId, CallId, Clock, EventId, GrantId, ManualClock, Risk, RunId, RunPrincipal, ServiceName,
    SessionId, SystemClock, Timestamp,
};
use serde_json::json;
use sqlx::Connection as _;

use super::{Mark, Opened, Store};
use crate::domain::{Added, Approval, Decided, Decision, PendingLimits, Redemption};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// Where a test's state is kept, as long as this value lives.
struct Place {
    config: StoreConfig,
    data: PathBuf,
    _dir: tempfile::TempDir,
    database: Option<Database>,
}

impl Place {
    fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            config: StoreConfig::default(),
            data: dir.path().to_owned(),
            _dir: dir,
            database: None,
        }
    }

    async fn postgres() -> Self {
        let database = Database::create().await;
        Self {
            config: StoreConfig {
                postgres: Some(PostgresConfig {
                    connections: 4,
                    ..database.config()
                }),
            },
            database: Some(database),
            ..Self::sqlite()
        }
    }

    async fn open(&self) -> Arc<dyn Store> {
        let Opened { store, .. } = super::open(&self.config, &self.data).await.unwrap();
        store
    }

    /// A connection of nobody's, where several processes may share the state.
    async fn beside(&self) -> Option<PgConnection> {
        let database = self.database.as_ref()?;
        Some(PgConnection::connect(&database.url()).await.unwrap())
    }

    /// All that may be open at once: a file has one process, a server has many.
    async fn replicas(&self) -> Vec<Arc<dyn Store>> {
        let mut replicas = vec![self.open().await];
        if self.config.postgres.is_some() {
            replicas.push(self.open().await);
            replicas.push(self.open().await);
        }
        replicas
    }
}

/// Each test on each database.
macro_rules! on_each {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Place::sqlite()).await;
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Place::postgres().await).await;
            })*
        }
    };
}

mod bounds;
mod erasing;
mod lists;

on_each![
    a_request_reads_back_as_it_was_and_a_call_has_one,
    the_first_decision_stays,
    a_call_is_redeemed_once_however_many_ask,
    a_call_has_one_request_and_one_decision_however_many_ask,
    unfinished_business_is_found_and_ends,
    unfinished_business_is_read_on_from_any_name,
    open_requests_are_those_that_are_known_and_undecided,
    everything_is_there_after_a_restart,
];

/// Before every deadline.
fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(NOW))
}

fn run(tenant: &str) -> RunPrincipal {
    RunPrincipal {
        tenant: tenant.parse().unwrap(),
        subject: "ann".parse().unwrap(),
        agent: "default".parse().unwrap(),
        session: SessionId::generate(&SystemClock),
        run: RunId::generate(&SystemClock),
    }
}

fn approval(run: &RunPrincipal, code: &str, requested_at: Timestamp) -> Approval {
    let parts = CallParts {
        tenant: run.tenant.as_str(),
        agent: run.agent.as_str(),
        run: &run.run.to_string(),
        call: &CallId::generate(&SystemClock).to_string(),
        tool: "code_execute",
        args: &json!({ "language": "python", "code": code }),
    };
    Approval {
        id: ApprovalId::generate(&SystemClock),
        run: run.clone(),
        call: CanonicalCall::new(parts).unwrap(),
        risk: Risk::High,
        reasons: vec!["Runs code.".to_owned(), "Line\nbreak \"quoted\".".to_owned()],
        policy_version: "v".to_owned(),
        requested_at,
        deadline: requested_at.plus(Duration::from_secs(900)),
        event: EventId::generate(&SystemClock),
        recorded: false,
        decided: None,
    }
}

fn decided(decision: Decision, by: Option<&str>) -> Decided {
    Decided {
        decision,
        by: by.map(|by| by.parse().unwrap()),
        own: true,
        unattended: true,
        comment: "because\0 \u{1f600}".to_owned(),
        at: NOW,
        event: EventId::generate(&SystemClock),
        recorded: false,
    }
}

fn redemption(run: &RunPrincipal, call: CallId) -> Redemption {
    Redemption {
        run: run.clone(),
        call,
        tool: "code_execute".to_owned(),
        digest: [7; 32],
        grant: GrantId::generate(&SystemClock),
        redeemer: ServiceName::SandboxBroker,
        policy_version: "v".to_owned(),
        at: NOW,
        event: EventId::generate(&SystemClock),
        recorded: false,
    }
}

/// Keeps the request, with room for it.
async fn add(store: &dyn Store, approval: Approval) -> Approval {
    let plenty = PendingLimits {
        per_subject: 1000,
        per_tenant: 1000,
    };
    match store.add_approval(approval, plenty).await.unwrap() {
        Added::Kept(kept) => *kept,
        Added::Full(whose) => panic!("no room for the {whose}'s"),
    }
}

fn call_of(approval: &Approval) -> CallId {
    approval.call.call().parse().unwrap()
}

async fn a_request_reads_back_as_it_was_and_a_call_has_one(place: Place) {
    let store = place.open().await;
    let first = approval(&run("a"), "print(1)", NOW);
    assert_eq!(add(&*store, first.clone()).await, first);
    let again = Approval {
        id: ApprovalId::generate(&SystemClock),
        ..first.clone()
    };
    assert_eq!(add(&*store, again).await, first);
    let (tenant, id) = (first.tenant(), first.id);
    assert_eq!(store.approval(tenant, id).await.unwrap(), Some(first.clone()));
    let found = store
        .approval_of(tenant, first.run_id(), call_of(&first))
        .await
        .unwrap();
    assert_eq!(found, Some(first.clone()));
    let other = "b".parse().unwrap();
    assert_eq!(store.approval(&other, id).await.unwrap(), None);
    assert_eq!(
        store
            .decide(&other, id, decided(Decision::Approved, None), &clock())
            .await
            .unwrap(),
        None
    );
    assert_eq!(store.approval(tenant, id).await.unwrap().unwrap().decided, None);
}

async fn the_first_decision_stays(place: Place) {
    let store = place.open().await;
    let asked = add(&*store, approval(&run("a"), "1", NOW)).await;
    let yes = decided(Decision::Approved, Some("bob"));
    let no = decided(Decision::Denied, None);
    let kept = store
        .decide(asked.tenant(), asked.id, yes.clone(), &clock())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.decided, Some(yes.clone()));
    let kept = store
        .decide(asked.tenant(), asked.id, no, &clock())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.decided, Some(yes));
    assert_eq!(kept.effective(), None);
    store.mark(vec![Mark::Decision(asked.id)]).await.unwrap();
    let kept = store.approval(asked.tenant(), asked.id).await.unwrap().unwrap();
    assert_eq!(
        kept.effective().map(|decided| decided.decision),
        Some(Decision::Approved)
    );
}

/// What all replicas answer when each is asked `attempts` at once.
async fn all<A: Clone, T>(
    replicas: &[Arc<dyn Store>],
    attempts: &[A],
    ask: impl AsyncFn(&dyn Store, A) -> T,
) -> Vec<T> {
    let asked = attempts
        .iter()
        .zip(replicas.iter().cycle())
        .map(|(attempt, store)| ask(&**store, attempt.clone()));
    futures_util::future::join_all(asked).await
}

async fn a_call_is_redeemed_once_however_many_ask(place: Place) {
    let replicas = place.replicas().await;
    let (run, call) = (run("a"), CallId::generate(&SystemClock));
    let attempts: Vec<_> = (0..48).map(|_| redemption(&run, call)).collect();
    let kept = all(&replicas, &attempts, async |store, one| {
        store.redeem(one).await.unwrap()
    })
    .await;
    assert!(kept.iter().all(|one| one == &kept[0]));
    assert_eq!(attempts.iter().filter(|one| **one == kept[0]).count(), 1);
    for store in &replicas {
        let found = store.redemption(&run.tenant, run.run, call).await.unwrap();
        assert_eq!(found.as_ref(), Some(&kept[0]));
    }
    let other = redemption(&self::run("b"), call);
    assert_eq!(replicas[0].redeem(other.clone()).await.unwrap(), other);
}

async fn a_call_has_one_request_and_one_decision_however_many_ask(place: Place) {
    let replicas = place.replicas().await;
    let first = approval(&run("a"), "1", NOW);
    let attempts: Vec<_> = (0..24)
        .map(|_| Approval {
            id: ApprovalId::generate(&SystemClock),
            event: EventId::generate(&SystemClock),
            ..first.clone()
        })
        .collect();
    let kept = all(&replicas, &attempts, async |store, one| add(store, one).await).await;
    assert!(kept.iter().all(|one| one == &kept[0]));
    let (tenant, id) = (kept[0].tenant(), kept[0].id);
    let decisions: Vec<_> = (0..24)
        .map(|number| match number % 3 {
            0 => decided(Decision::Expired, None),
            1 => decided(Decision::Denied, Some("bob")),
            _ => decided(Decision::Approved, Some("eve")),
        })
        .collect();
    let kept = all(&replicas, &decisions, async |store, one| {
        store.decide(tenant, id, one, &clock()).await.unwrap().unwrap()
    })
    .await;
    assert!(kept.iter().all(|one| one == &kept[0]));
    let decided = kept[0].decided.as_ref().unwrap();
    assert_eq!(decisions.iter().filter(|one| *one == decided).count(), 1);
}

async fn open_requests_are_those_that_are_known_and_undecided(place: Place) {
    let store = place.open().await;
    let mut asked = Vec::new();
    for (tenant, second) in [("a", 0), ("b", 1), ("a", 2), ("a", 3)] {
        let time = NOW.plus(Duration::from_secs(second));
        asked.push(add(&*store, approval(&run(tenant), "1", time)).await);
    }
    let name = |approval: &Approval| (approval.tenant().clone(), approval.id);
    assert_eq!(store.open_requests(9).await.unwrap(), []);
    let known = asked[..3].iter().map(|one| Mark::Request(one.id)).collect();
    store.mark(known).await.unwrap();
    let (tenant, id) = name(&asked[0]);
    store
        .decide(&tenant, id, decided(Decision::Denied, None), &clock())
        .await
        .unwrap();
    let open = store.open_requests(9).await.unwrap();
    assert_eq!(open, [name(&asked[2]), name(&asked[1]), name(&asked[0])]);
    assert_eq!(store.open_requests(1).await.unwrap(), [name(&asked[2])]);
    store.mark(vec![Mark::Decision(id)]).await.unwrap();
    let open = store.open_requests(9).await.unwrap();
    assert_eq!(open, [name(&asked[2]), name(&asked[1])]);
}

async fn unfinished_business_is_found_and_ends(place: Place) {
    let store = place.open().await;
    let run = run("a");
    let asked = add(&*store, approval(&run, "1", NOW)).await;
    let name = (run.tenant.clone(), asked.id);
    let later = NOW.plus(Duration::from_secs(900));
    let overdue = async |now| store.overdue(now, None, 9).await.unwrap();
    let unrecorded = async || store.unrecorded_approvals(None, 9).await.unwrap();
    let waiting = async || store.waiting().await.unwrap();
    assert_eq!(overdue(later).await, std::slice::from_ref(&name));
    assert_eq!(overdue(NOW).await, []);
    assert_eq!(unrecorded().await, std::slice::from_ref(&name));
    assert_eq!(waiting().await, (0, None));
    store.mark(vec![Mark::Request(asked.id)]).await.unwrap();
    assert_eq!(unrecorded().await, []);
    assert_eq!(waiting().await, (1, Some(NOW)));
    store
        .decide(&run.tenant, asked.id, decided(Decision::Denied, None), &clock())
        .await
        .unwrap();
    assert_eq!(overdue(later).await, []);
    assert_eq!(unrecorded().await, [name]);
    assert_eq!(waiting().await, (0, None));
    store.mark(vec![Mark::Decision(asked.id)]).await.unwrap();
    assert_eq!(unrecorded().await, []);

    let spent = store
        .redeem(redemption(&run, CallId::generate(&SystemClock)))
        .await
        .unwrap();
    let name = (spent.run.tenant.clone(), spent.run.run, spent.call);
    let unrecorded = async |before| store.unrecorded_redemptions(before, None, 9).await.unwrap();
    assert_eq!(unrecorded(NOW).await, []);
    assert_eq!(unrecorded(later).await, std::slice::from_ref(&name));
    let (tenant, run, call) = name;
    store
        .mark(vec![Mark::Redemption(tenant, run, call)])
        .await
        .unwrap();
    assert_eq!(unrecorded(later).await, []);
}

async fn unfinished_business_is_read_on_from_any_name(place: Place) {
    let store = place.open().await;
    let (mut requests, mut calls) = (Vec::new(), Vec::new());
    for tenant in ["b", "a", "b", "c"] {
        let run = run(tenant);
        let asked = add(&*store, approval(&run, "1", NOW)).await;
        requests.push((run.tenant.clone(), asked.id));
        let spent = store.redeem(redemption(&run, call_of(&asked))).await.unwrap();
        calls.push((run.tenant.clone(), run.run, spent.call));
    }
    requests.sort_by_key(|(_, id)| *id);
    calls.sort();
    let later = NOW.plus(Duration::from_secs(900));
    let mut after = None;
    for name in &requests {
        let [unrecorded] = &store.unrecorded_approvals(after, 1).await.unwrap()[..] else {
            panic!("one name");
        };
        let [overdue] = &store.overdue(later, after, 1).await.unwrap()[..] else {
            panic!("one name");
        };
        assert_eq!((unrecorded, overdue), (name, name));
        after = Some(name.1);
    }
    assert_eq!(store.unrecorded_approvals(after, 1).await.unwrap(), []);
    assert_eq!(store.overdue(later, after, 1).await.unwrap(), []);
    let mut after = None;
    for name in calls {
        let found = store.unrecorded_redemptions(later, after, 1).await.unwrap();
        assert_eq!(found, std::slice::from_ref(&name));
        after = Some(name);
    }
    assert_eq!(store.unrecorded_redemptions(later, after, 1).await.unwrap(), []);
}

async fn everything_is_there_after_a_restart(place: Place) {
    let store = place.open().await;
    let run = run("a");
    let asked = add(&*store, approval(&run, "1", NOW)).await;
    let spent = store.redeem(redemption(&run, call_of(&asked))).await.unwrap();
    store.close().await;
    let store = place.open().await;
    assert_eq!(
        store.approval(&run.tenant, asked.id).await.unwrap(),
        Some(asked.clone())
    );
    assert_eq!(
        store
            .redemption(&run.tenant, run.run, call_of(&asked))
            .await
            .unwrap(),
        Some(spent)
    );
}

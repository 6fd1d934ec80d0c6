//! What happens when Postgres restarts, is killed, or is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use harombe_canonical::CanonicalCall;
use harombe_error::{Failure, Reason, ServiceError as _};
use harombe_hitl::{BuildError, Config, Deps};
use harombe_proto::hitl::v1::authorize_response::Outcome;
use harombe_proto::hitl::v1::await_decision_response::Update;
use harombe_proto::types::v1::Decision;
use harombe_rpc::TaskSet;
use harombe_sql::{PostgresConfig, StoreConfig};
use harombe_testkit::postgres::{Database, Server, advance};
use harombe_testkit::{AuditSink, TestPki};
use harombe_types::{RunPrincipal, ServiceName};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tonic::{Code, Status};

use crate::world::{BROKER, World, approver, reason};

/// Acts of each kind before, between and after the faults.
const ENOUGH: usize = 40;

fn config(postgres: PostgresConfig) -> Config {
    Config {
        store: StoreConfig {
            postgres: Some(postgres),
        },
        ..Config::default()
    }
}

/// What a client may see while the server is away.
fn retryable<T>(result: Result<T, Status>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        // The server may be away for longer than a call waits.
        Err(status) if status.code() == Code::DeadlineExceeded => None,
        Err(status) => {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert_eq!(Failure::from(status).reason(), Reason::StoreUnavailable);
            None
        }
    }
}

/// What a client acknowledged.
struct Done {
    run: RunPrincipal,
    call: CanonicalCall,
    approval: String,
    grant: String,
}

/// Asks, decides and spends until told to stop. Each is repeated until it is answered, as a client does.
async fn work(world: Arc<World>, count: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> Vec<Done> {
    let mut all = Vec::new();
    let run = world.run("ann");
    while !stop.load(Ordering::Relaxed) {
        let call = world.python(&run);
        let approval = loop {
            if let Some(answer) = retryable(world.authorize(&run, &call).await) {
                match answer.outcome {
                    Some(Outcome::Pending(pending)) => break pending.approval_id,
                    other => panic!("not pending: {other:?}"),
                }
            }
        };
        // the same decision again answers the same, so whoever got no answer asks again
        while retryable(world.decide(&approver(), &approval, Decision::Approved).await).is_none() {}
        let grant = grant(&world, &run, &approval).await;
        while !spent(world.redeem(BROKER, &grant, &call).await) {}
        all.push(Done {
            run: run.clone(),
            call,
            approval,
            grant,
        });
        count.fetch_add(1, Ordering::Relaxed);
    }
    all
}

async fn grant(world: &World, run: &RunPrincipal, approval: &str) -> String {
    loop {
        let Some(mut stream) = retryable(world.await_decision(run, approval).await) else {
            continue;
        };
        while let Some(Some(response)) = retryable(stream.message().await) {
            if let Some(Update::Decided(decided)) = response.update {
                return decided.grant;
            }
        }
    }
}

/// Whether it is: by this call, or by one whose answer was lost.
fn spent(redeemed: Result<String, Status>) -> bool {
    match redeemed {
        Err(status) if Failure::from(status.clone()).reason() == Reason::GrantRedeemed => true,
        other => retryable(other).is_some(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_restarts_and_is_killed_loses_nothing_and_is_used_again() {
    let mut server = Server::create().await;
    let world = Arc::new(World::with(config(server.config())).await);
    let (count, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let workers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(work(Arc::clone(&world), Arc::clone(&count), Arc::clone(&stop))))
        .collect();
    server
        .stop_and_kill_amid(async || advance(&count, ENOUGH).await)
        .await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for worker in workers {
        acknowledged.extend(worker.await.unwrap());
    }
    for done in acknowledged {
        let decision = world.decision(&done.run, &done.approval).await;
        assert_eq!(decision.decision(), Decision::Approved);
        let again = world.redeem(BROKER, &done.grant, &done.call).await;
        assert_eq!(reason(again), Reason::GrantRedeemed);
    }
}

#[tokio::test]
async fn without_postgres_callers_hear_so_and_streams_go_on_when_it_is_back() {
    let mut server = Server::create().await;
    let mut postgres = server.config();
    postgres.acquire = Duration::from_secs(2).into();
    let world = World::with(config(postgres)).await;
    let run = world.run("ann");
    let id = world.pending(&run, &world.python(&run)).await;
    server.stop().await;
    let refused = world
        .decide(&approver(), &id, Decision::Approved)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let failure = Failure::from(refused);
    assert_eq!(failure.reason(), Reason::StoreUnavailable);
    assert!(failure.retry_after().is_some());
    server.start().await;
    world.decide(&approver(), &id, Decision::Approved).await.unwrap();
    assert_eq!(world.decision(&run, &id).await.decision(), Decision::Approved);
}

#[tokio::test]
async fn watchers_that_wait_for_the_store_leave_connections_to_whoever_spends_a_grant() {
    let database = Database::create().await;
    let world = World::with(config(database.config())).await;
    let run = world.run("ann");
    let mut granted = Vec::new();
    for _ in 0..20 {
        let call = world.file_list(&run);
        granted.push((world.granted(&run, &call).await, call));
    }
    let mut holder = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE harombe_hitl.approvals")
        .execute(&mut holder)
        .await
        .unwrap();
    let mut watches = Vec::new();
    for _ in 0..40 {
        watches.push(world.watch(&approver()).await);
    }
    for (grant, call) in granted {
        world.redeem(BROKER, &grant, &call).await.unwrap();
    }
    holder.close().await.unwrap();
    let id = world.pending(&run, &world.python(&run)).await;
    for mut watch in watches {
        let shown = watch.message().await.unwrap().unwrap().approval.unwrap();
        assert_eq!(shown.approval_id, id);
    }
}

#[tokio::test]
async fn a_start_without_postgres_says_where_it_was_looked_for() {
    let clock = harombe_testkit::clock();
    let pki = TestPki::new(clock.clone());
    let sink = AuditSink::new(&pki, clock.clone());
    let dir = tempfile::tempdir().unwrap();
    let gone = PostgresConfig {
        url: "postgres://harombe@127.0.0.1:1/harombe".to_owned(),
        acquire: Duration::from_millis(200).into(),
        ..PostgresConfig::default()
    };
    let build = |config: Config| {
        let deps = Deps {
            clock: clock.clone(),
            identity: pki.identity(ServiceName::Hitl),
            trail: sink.trail(ServiceName::Hitl, clock.clone(), &TaskSet::new()),
            data: dir.path().to_owned(),
            metrics: harombe_rpc::Metrics::new(),
        };
        harombe_hitl::build(config, deps)
    };
    let Err(error) = build(config(gone)).await else {
        panic!("was built");
    };
    assert!(
        matches!(error, BuildError::Store(harombe_sql::Error::Unreachable { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("127.0.0.1:1/harombe"), "{error}");
    let Err(error) = build(config(PostgresConfig::default())).await else {
        panic!("was built");
    };
    assert!(error.to_string().contains("hitl.store.postgres.url"), "{error}");
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing is made beside"
    );
}

//! A Postgres that restarts, is killed, or is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_identity::CertificateAuthority;
use harombe_memory::{BuildError, Deps, build};
use harombe_proto::memory::v1 as pb;
use harombe_proto::types::v1::run_event::Event;
use harombe_rpc::RequestExt as _;
use harombe_sql::PostgresConfig;
use harombe_testkit::postgres::{Server, advance};
use harombe_types::{RunId, ServiceName, SystemClock};
use tonic::Request;

use crate::rig::{Rig, TestRun, answer, entry, postgres};

/// Turns that end before, between and after the faults.
const ENOUGH: usize = 25;
const ENTRIES: u64 = 3;

/// What a client may see while the server is away; it tries again.
fn retryable<T>(result: Result<T, Failure>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        // the server may be away for longer than a call waits
        Err(failure) if failure.code == Code::DeadlineExceeded => None,
        Err(failure) => {
            assert_eq!(
                (failure.code, failure.reason),
                (Code::Unavailable, Reason::StoreUnavailable)
            );
            assert!(failure.retry_after.is_some());
            None
        }
    }
}

/// Drives whole turns until told to stop, repeating whatever has no answer; returns the runs whose end was acknowledged.
async fn drive(rig: Arc<Rig>, count: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> Vec<RunId> {
    let mut ended = Vec::new();
    let session = rig.new_session().await;
    while !stop.load(Ordering::Relaxed) {
        let run = rig.run_in(session);
        let epoch = loop {
            let begun = rig.begin(&run, &run.run.to_string(), "hello").await;
            if let Some(begun) = retryable(begun) {
                // a repetition gets a lease of its own as long as nothing was done
                break begun.lease.expect("lease").epoch;
            }
        };
        for cursor in 1..=ENTRIES {
            let state = format!("step {cursor}");
            while retryable(rig.append(&run, epoch, cursor, vec![entry(&state)]).await).is_none() {}
        }
        let cursor = loop {
            if let Some(cursor) = retryable(rig.finish(&run, epoch, "done").await) {
                break cursor;
            }
        };
        assert_eq!(cursor, ENTRIES + 2);
        ended.push(run.run);
        count.fetch_add(1, Ordering::Relaxed);
    }
    ended
}

/// Follows a run from its beginning, opening the stream again after each fault, and returns the cursors that it saw.
async fn follow(rig: &Rig, run: &TestRun) -> Vec<u64> {
    let mut cursors = vec![];
    loop {
        let request = pb::WatchRequest {
            run_id: run.run.to_string(),
            after_cursor: cursors.last().copied().unwrap_or(0),
        };
        let watch = Request::new(request).with_token(rig.ann());
        let opened = rig.as_gateway().journal.watch(watch).await;
        let Some(mut events) = retryable(answer(opened)) else {
            continue;
        };
        while let Some(seen) = retryable(events.message().await.map_err(Failure::from)) {
            let Some(seen) = seen else { return cursors };
            let event = seen.event.expect("event");
            cursors.push(event.cursor);
            if matches!(event.event, Some(Event::RunFinished(_))) {
                return cursors;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_restarts_and_is_killed_loses_nothing_and_is_used_again() {
    let mut server = Server::create().await;
    let rig = Arc::new(Rig::on(postgres(server.config()), None).await);
    let (_, watched, begun) = rig.begun().await;
    let watched_epoch = begun.lease.expect("lease").epoch;
    let watcher = {
        let rig = Arc::clone(&rig);
        let watched = TestRun {
            run: watched.run,
            token: watched.token.clone(),
        };
        tokio::spawn(async move { follow(&rig, &watched).await })
    };
    let (count, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let drivers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(drive(Arc::clone(&rig), Arc::clone(&count), Arc::clone(&stop))))
        .collect();
    let progress = async |cursor: u64| {
        advance(&count, ENOUGH).await;
        while retryable(
            rig.append(&watched, watched_epoch, cursor, vec![entry("on")])
                .await,
        )
        .is_none()
        {}
    };
    progress(1).await;
    server.stop().await;
    server.start().await;
    progress(2).await;
    server.kill();
    server.start().await;
    progress(3).await;
    while retryable(rig.finish(&watched, watched_epoch, "done").await).is_none() {}
    assert_eq!(watcher.await.expect("watcher"), [1, 2, 3, 4, 5]);
    stop.store(true, Ordering::Relaxed);
    for driver in drivers {
        for run in driver.await.expect("driver") {
            let seen = rig.get_run(run).await.expect("run");
            assert_eq!((seen.state(), seen.cursor), (pb::RunState::Finished, ENTRIES + 2));
        }
    }
}

#[tokio::test]
async fn without_postgres_callers_hear_so_and_a_start_says_where_it_was_looked_for() {
    let mut server = Server::create().await;
    let config = PostgresConfig {
        acquire: Duration::from_secs(2).into(),
        ..server.config()
    };
    let rig = Rig::on(postgres(config.clone()), None).await;
    let (_, run, begun) = rig.begun().await;
    let epoch = begun.lease.expect("lease").epoch;
    server.stop().await;
    assert!(retryable(rig.append(&run, epoch, 1, vec![entry("on")]).await).is_none());
    let authority = CertificateAuthority::create("test.example", &SystemClock).expect("authority");
    let deps = Deps {
        metrics: harombe_rpc::Metrics::new(),
        clock: Arc::new(SystemClock),
        identity: authority
            .issue(ServiceName::Memory, &SystemClock)
            .expect("identity"),
        trail: rig
            .sink
            .trail(ServiceName::Memory, rig.clock.clone(), &rig.trails),
        data: rig.directory.path().to_owned(),
        models: rig.directory.path().join("models"),
        egress_proxy: rig.sink.channel(ServiceName::Memory),
    };
    let Err(BuildError::Store(error)) = build(postgres(config), deps).await else {
        panic!("was built");
    };
    assert!(
        matches!(error, harombe_sql::Error::Unreachable { .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains(&server.socket().to_string()),
        "{error}"
    );
    server.start().await;
    rig.append(&run, epoch, 1, vec![entry("on")])
        .await
        .expect("append");
}

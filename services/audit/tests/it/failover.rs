//! A service that records through a balanced channel to two instances of audit, while the one that writes changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use harombe_audit::files::Source;
use harombe_audit::verify::{Known, verify_with};
use harombe_rpc::{Balanced, GrpcChannel, TaskSet};
use harombe_testkit::postgres::Database;
use harombe_testkit::{TestPki, loopback, tenant};
use harombe_trail::{Error, Event, Kind, Trail};
use harombe_types::{ServiceName, SystemClock};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Bench;
use super::postgres::config;

const AS: ServiceName = ServiceName::Hitl;

/// An instance that listens.
struct Listening {
    bench: Bench,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Listening {
    /// Listens at an address, or at a new one, which stays free for it while it does not.
    async fn at(
        address: Option<SocketAddr>,
        pki: &Arc<TestPki>,
        keys: &TempDir,
        database: &Database,
    ) -> (SocketAddr, Self) {
        let directory = TempDir::new().unwrap();
        let config = config(keys.path(), database.config());
        let bench = Bench::among(Arc::clone(pki), directory.path(), config).await;
        let address = address.unwrap_or_else(|| (loopback(), 0).into());
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (server, identity, stop) = (
            bench.service.server().clone(),
            pki.identity(ServiceName::Audit),
            CancellationToken::new(),
        );
        let until = stop.clone();
        let served = tokio::spawn(async move {
            server.serve_tls(listener, &identity, until).await.unwrap();
            drop(directory);
        });
        (address, Self { bench, stop, served })
    }

    fn writes(&self) -> bool {
        self.bench.service.server().is_serving()
    }

    /// As a process ends that is told to.
    async fn end(self) {
        self.bench.service.server().set_serving(false);
        self.stop.cancel();
        self.served.await.unwrap();
        self.bench.service.shutdown(Duration::from_secs(5)).await;
    }
}

/// Which of them says that it takes appends, once one does.
async fn writer(instances: &[(SocketAddr, Listening)]) -> usize {
    loop {
        if let Some(at) = instances.iter().position(|(_, instance)| instance.writes()) {
            return at;
        }
        tokio::task::yield_now().await;
    }
}

async fn record(trail: &Trail, count: u64) {
    let records = (0..count).map(|_| trail.record(Event::new(Kind::CallAuthorized, &tenant("local"))));
    for recorded in futures_util::future::join_all(records).await {
        // On a machine that is busy nobody may write for longer than an act waits. The event stays queued.
        assert!(
            matches!(recorded, Ok(()) | Err(Error::Unavailable)),
            "{recorded:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trail_follows_the_writer_and_no_number_is_missing() {
    let database = Database::create().await;
    let keys = TempDir::new().unwrap();
    let pki = Arc::new(TestPki::new(Arc::new(SystemClock)));
    let (first, one) = Listening::at(None, &pki, &keys, &database).await;
    let (second, two) = Listening::at(None, &pki, &keys, &database).await;
    let audit = GrpcChannel::balanced(&Balanced {
        targets: vec![first.to_string(), second.to_string()],
        identity: pki.identity(AS),
        server: ServiceName::Audit,
        resolve_every: Duration::from_secs(30),
    })
    .unwrap();
    let tasks = TaskSet::new();
    let trail = Trail::start(audit, AS, "local".parse().unwrap(), Arc::new(SystemClock), &tasks);
    record(&trail, 40).await;

    // Each in turn is ended while events are on their way, and comes back as the one that waits.
    let mut instances = vec![(first, one), (second, two)];
    for _ in 0..3 {
        let writer = writer(&instances).await;
        let (address, writer) = instances.remove(writer);
        tokio::join!(writer.end(), record(&trail, 40));
        instances.push(Listening::at(Some(address), &pki, &keys, &database).await);
    }
    assert_eq!(tasks.shutdown(Duration::from_secs(120)).await, 0);
    let source = Source::Postgres {
        config: &database.config(),
        wrapping_key: None,
    };
    let report = verify_with(source, Known::default()).await.unwrap();
    assert_eq!((report.entries, report.unaccounted), (160, Vec::new()));
    for (_, instance) in instances {
        instance.end().await;
    }
}

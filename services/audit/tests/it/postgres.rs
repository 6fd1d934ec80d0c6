//! Instances that share a log on Postgres, killed, stopped and cut off from it: whatever happens, what was acknowledged
//! stands where it was said to stand, no number is missing, and another instance goes on.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use harombe_audit::Config;
use harombe_audit::files::{Filter, Leaf, Source, query};
use harombe_audit::verify::{Known, Report, verify_with};
use harombe_sql::{PostgresConfig, StoreConfig};
use harombe_testkit::postgres::{Database, Server};
use harombe_types::ServiceName;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::{Bench, event};

const ACKNOWLEDGED: &str = "acknowledged ";
const DIRECTORY: &str = "HAROMBE_TEST_AUDIT_DIRECTORY";
const KEYS: &str = "HAROMBE_TEST_AUDIT_KEYS";
const URL: &str = "HAROMBE_TEST_AUDIT_URL";
const APPENDERS: usize = 8;

/// An instance with a directory of its own and keys that it shares.
async fn instance(directory: &Path, keys: &Path, postgres: PostgresConfig) -> Bench {
    Bench::with(directory, config(keys, postgres)).await
}

pub(super) fn config(keys: &Path, postgres: PostgresConfig) -> Config {
    Config {
        store: StoreConfig {
            postgres: Some(postgres),
        },
        signing_key: Some(keys.join("signer.key")),
        wrapping_key: Some(keys.join("wrapping.key")),
        ..Config::default()
    }
}

/// Appends one event as a service does: again, until it is acknowledged.
async fn persist(bench: &Bench) -> (u64, String) {
    let event = event("local");
    loop {
        match bench.append(ServiceName::Hitl, event.clone()).await {
            Ok(index) => return (index, event.event_id),
            Err(failure) => assert!(failure.retry_after.is_some(), "{failure}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// That the log is whole, and holds every acknowledged event where it was said to be.
async fn check(config: &PostgresConfig, acknowledged: &HashMap<u64, String>) -> Report {
    let source = Source::Postgres {
        config,
        wrapping_key: None,
    };
    let report = verify_with(source, Known::default()).await.unwrap();
    let (entries, _) = query(source, &Filter::default(), 0, usize::MAX).await.unwrap();
    assert_eq!(entries.len() as u64, report.entries);
    for (index, id) in acknowledged {
        let entry = &entries[usize::try_from(*index).unwrap()];
        assert_eq!(Leaf::decode(&entry.leaf).unwrap().event_id, *id, "entry {index}");
    }
    report
}

/// Not a test of its own: an instance under load that gets killed. It prints what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by instances_that_are_killed_and_stopped_lose_nothing"]
async fn append_until_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let postgres = PostgresConfig {
        url: std::env::var(URL).unwrap(),
        ..PostgresConfig::default()
    };
    let keys = PathBuf::from(std::env::var(KEYS).unwrap());
    let bench = Arc::new(instance(directory.as_ref(), &keys, postgres).await);
    for _ in 0..APPENDERS {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move {
            loop {
                let (index, id) = persist(&bench).await;
                // One write call a line, so that a kill cannot cut it.
                let line = format!("{ACKNOWLEDGED}{index} {id}\n");
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    std::future::pending::<()>().await;
}

/// An instance in a process of its own; what it says arrives with its number.
struct Process {
    child: Child,
}

type Line = (usize, u64, String);

impl Process {
    fn start(number: usize, directory: &Path, keys: &Path, url: &str, lines: &mpsc::Sender<Line>) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "postgres::append_until_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(DIRECTORY, directory)
            .env(KEYS, keys)
            .env(URL, url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines = lines.clone();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let Some((_, said)) = line.rsplit_once(ACKNOWLEDGED) else {
                    continue;
                };
                let (index, id) = said.split_once(' ').unwrap();
                if lines
                    .send((number, index.parse().unwrap(), id.to_owned()))
                    .is_err()
                {
                    return;
                }
            }
        });
        Self { child }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what instances say until one of `wanted` has said `count` more; returns which.
fn until(
    lines: &mpsc::Receiver<Line>,
    acknowledged: &mut HashMap<u64, String>,
    wanted: &[usize],
    count: usize,
) -> usize {
    let mut said = [0; 2];
    loop {
        let (number, index, id) = lines.recv_timeout(Duration::from_secs(120)).unwrap();
        let before = acknowledged.insert(index, id.clone());
        assert!(before.is_none_or(|before| before == id), "two events at {index}");
        said[number] += 1;
        if wanted.contains(&number) && said[number] >= count {
            return number;
        }
    }
}

#[tokio::test]
async fn instances_that_are_killed_and_stopped_lose_nothing() {
    let database = Database::create().await;
    let directories = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let keys = TempDir::new().unwrap();
    let (sender, lines) = mpsc::channel();
    let start = |number: usize| {
        let directory: &TempDir = &directories[number];
        Process::start(number, directory.path(), keys.path(), &database.url(), &sender)
    };
    let mut processes = [start(0), start(1)];
    let mut acknowledged = HashMap::new();
    // Stopped: it keeps its session, and the server ends that. Killed: at once, and after more or less work.
    for (signal, count) in [("-KILL", 1), ("-STOP", 30), ("-KILL", 100), ("-KILL", 7)] {
        let writer = until(&lines, &mut acknowledged, &[0, 1], count);
        processes[writer].signal(signal);
        until(&lines, &mut acknowledged, &[1 - writer], 20);
        if signal == "-STOP" {
            // It wakes up as somebody who believes that it may write.
            processes[writer].signal("-CONT");
            until(&lines, &mut acknowledged, &[1 - writer], 50);
        } else {
            processes[writer] = start(writer);
        }
    }
    drop(processes);
    while let Ok((_, index, id)) = lines.try_recv() {
        acknowledged.insert(index, id);
    }
    let report = check(&database.config(), &acknowledged).await;
    assert!(acknowledged.len() >= 250 && report.entries >= acknowledged.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_and_crashes_under_load_loses_nothing() {
    let mut server = Server::create().await;
    let (directory, keys) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let bench = Arc::new(instance(directory.path(), keys.path(), server.config()).await);
    let (count, more) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let stop = tokio_util::sync::CancellationToken::new();
    let appenders: Vec<_> = (0..APPENDERS)
        .map(|_| {
            let (bench, count, more, stop) = (
                Arc::clone(&bench),
                Arc::clone(&count),
                Arc::clone(&more),
                stop.clone(),
            );
            tokio::spawn(async move {
                let mut places = Vec::new();
                while !stop.is_cancelled() {
                    places.push(persist(&bench).await);
                    count.fetch_add(1, Ordering::SeqCst);
                    more.notify_one();
                }
                places
            })
        })
        .collect();
    let reach = async |goal: u64| {
        while count.load(Ordering::SeqCst) < goal {
            more.notified().await;
        }
    };
    for round in 0..4 {
        reach(count.load(Ordering::SeqCst) + 40).await;
        if round % 2 == 0 {
            server.kill();
        } else {
            server.stop().await;
        }
        server.start().await;
    }
    reach(count.load(Ordering::SeqCst) + 40).await;
    stop.cancel();
    let mut acknowledged = HashMap::new();
    for appender in appenders {
        for (index, id) in appender.await.unwrap() {
            assert!(acknowledged.insert(index, id).is_none(), "two events at {index}");
        }
    }
    // Reads have recovered as well.
    assert!(bench.size().await >= acknowledged.len() as u64);
    check(&server.config(), &acknowledged).await;
    let bench = Arc::into_inner(bench).unwrap();
    bench.service.shutdown(Duration::from_secs(5)).await;
}

/// Returns when the instance says to balancers and operators that it takes appends.
async fn serving(bench: &Bench) {
    let is_counted = || bench.metrics.encode().contains("\nharombe_audit_writer 1\n");
    while !bench.service.server().is_serving() || !is_counted() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_instance_that_does_not_write_turns_balancers_away_and_answers_reads() {
    let database = Database::create().await;
    let directories = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let keys = TempDir::new().unwrap();
    let one = instance(directories[0].path(), keys.path(), database.config()).await;
    let (index, _) = persist(&one).await;
    let two = instance(directories[1].path(), keys.path(), database.config()).await;
    serving(&one).await;
    assert!(!two.service.server().is_serving());
    assert_eq!((index, two.size().await), (0, 1));
    assert!(two.metrics.encode().contains("\nharombe_audit_writer 0\n"));
    one.service.shutdown(Duration::from_secs(5)).await;
    assert_eq!(persist(&two).await.0, 1);
    serving(&two).await;
    two.service.shutdown(Duration::from_secs(5)).await;
}

//! kill -9 at every step: the whole system dies at one side of one call between services, is started again, and the run
//! that was in it must end as if nothing had happened, with every effect at most once.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harombe::attach::Client;
use harombe::compose::DataDir;
use harombe_e2e::{Log, Node};
use harombe_proto::types::v1::{RunEvent, ToolOutcome};
use tokio::sync::Semaphore;

use crate::recovery::{Memory, finished, script};
use crate::support::{NODE, in_workspace};

/// Points that are tried at the same time: most of each is waiting for a lease to end.
const AT_ONCE: usize = 3;

/// How often a message is sent again to a system that lives.
const TRIES: usize = 10;

/// Longest time for a system to die, or for a run to end: not a measure, only an end for what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    nth: usize,
    side: &'static str,
}

fn client(data: &Path) -> Client {
    Client::at(&DataDir::socket_of(data)).unwrap()
}

/// A directory with a script, and a session begun in the system that runs there.
struct Place {
    dir: tempfile::TempDir,
    memory: Memory,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("harombe-crash-")
            .tempdir()
            .unwrap();
        std::fs::write(dir.path().join("model.toml"), script()).unwrap();
        Self {
            dir,
            memory: Memory::default(),
        }
    }

    fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    async fn up(&self, options: &[&str]) -> Node {
        Node::up(NODE, &self.data(), &self.dir.path().join("model.toml"), options).await
    }

    /// Begins a session and its run, or goes on with them, in a system that will die; whether it did.
    async fn until_it_dies(&mut self, point: Point) -> bool {
        let nth = point.nth.to_string();
        let mut node = self.up(&["--crash", &nth, "--side", point.side]).await;
        let client = client(&self.data());
        if self.memory.session.is_empty() {
            self.memory.begin(&client).await;
        }
        // It dies in the middle of that.
        let told = self.memory.go_on(&client).await;
        if told.is_ok() && self.memory.has_ended() {
            // The point may lie behind the run's end, or be one that this run did not come by.
            return tokio::time::timeout(Duration::from_millis(500), node.died())
                .await
                .is_ok();
        }
        let died = tokio::time::timeout(PATIENCE, node.died()).await;
        let signal = died.expect("it dies").unwrap();
        assert_eq!(signal, Some(9), "it died by itself: {told:?}");
        true
    }

    /// Goes on in a system that lives, until the run has ended; returns its whole journal.
    async fn finish(&mut self) -> Vec<RunEvent> {
        let client = client(&self.data());
        for _ in 0..TRIES {
            match tokio::time::timeout(PATIENCE, self.memory.go_on(&client)).await {
                Err(_) => panic!("the run does not end; seen: {:?}", self.memory.seen.values()),
                Ok(Ok(())) if self.memory.has_ended() => break,
                Ok(Ok(())) => {}
                Ok(Err(status)) => assert_eq!(status.code(), tonic::Code::Unavailable, "{status}"),
            }
        }
        self.memory.journal(&client).await
    }

    fn check_events(&self, journal: &[RunEvent]) {
        let left = |name| in_workspace(&self.data(), name);
        let (effects, written) = (left("effects.txt"), left("written.txt"));
        self.memory
            .check_events(journal, effects.as_deref(), written.as_deref());
    }

    async fn check_log(&self, journal: &[RunEvent]) -> Log {
        let log = Log::verified(&self.data().join("audit")).await;
        assert_eq!(
            log.report.unaccounted,
            [],
            "a death leaves no gap among a writer's numbers"
        );
        self.memory.check_log(&log, journal);
        log
    }
}

/// The calls of a run that nothing disturbs. A machine that stalls for longer than a lease does.
async fn undisturbed() -> Vec<String> {
    for _ in 0..TRIES {
        if let Some(calls) = played().await {
            return calls;
        }
    }
    panic!("every run was disturbed");
}

/// The calls of a run, if one node drove it from its beginning to its end.
async fn played() -> Option<Vec<String>> {
    let mut place = Place::new();
    let node = place.up(&[]).await;
    place.memory.begin(&client(&place.data())).await;
    place.memory.go_on(&client(&place.data())).await.unwrap();
    let journal: Vec<_> = place.memory.seen.values().cloned().collect();
    place.check_events(&journal);
    let calls = node.stop().await;
    let log = place.check_log(&journal).await;
    let ended = finished(&journal);
    let known = ended[..2].iter().all(|call| call.outcome() == ToolOutcome::Ok);
    (known && log.count("run.started") == 1).then_some(calls)
}

/// Dies there, one time after the other, and lives again; how the first two calls ended, when it died each time.
async fn die_at(points: &[Point]) -> Option<[ToolOutcome; 2]> {
    let mut place = Place::new();
    for point in points {
        if !place.until_it_dies(*point).await {
            return None;
        }
    }
    let node = place.up(&[]).await;
    let journal = place.finish().await;
    place.check_events(&journal);
    place.memory.check_decisions(&mut client(&place.data())).await;
    node.stop().await;
    place.check_log(&journal).await;
    let ended = finished(&journal);
    Some([ended[0].outcome(), ended[1].outcome()])
}

/// What came of many deaths.
#[derive(Debug, Default)]
struct Tally {
    died: usize,
    /// Deaths after which a call's outcome was unknown.
    unknown: usize,
    /// Runs that ended before they came to their point.
    missed: Vec<Vec<Point>>,
    failed: Vec<String>,
}

impl Tally {
    async fn of(trials: impl Iterator<Item = Vec<Point>>) -> Self {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let trials: Vec<_> = trials
            .map(|points| {
                let (room, trial) = (Arc::clone(&room), points.clone());
                let trial = tokio::spawn(async move {
                    let _place = room.acquire_owned().await.unwrap();
                    die_at(&trial).await
                });
                (points, trial)
            })
            .collect();
        let mut tally = Self::default();
        for (points, trial) in trials {
            match trial.await {
                Ok(Some(ended)) => {
                    tally.died += 1;
                    tally.unknown += usize::from(ended.contains(&ToolOutcome::Unknown));
                }
                Ok(None) => tally.missed.push(points),
                Err(panicked) => tally.failed.push(format!("{points:?}: {panicked}")),
            }
        }
        tally
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_step_nothing_is_lost_and_nothing_done_twice() {
    let begun = Instant::now();
    let calls = undisturbed().await;
    assert!(calls.len() > 20, "{calls:#?}");
    let points = (1..=calls.len()).flat_map(|nth| ["before", "after"].map(|side| vec![Point { nth, side }]));
    let tally = Tally::of(points).await;
    println!(
        "{} calls, {} deaths, {} of them with a call whose outcome is unknown, {} points not met, in {:?}",
        calls.len(),
        tally.died,
        tally.unknown,
        tally.missed.len(),
        begun.elapsed()
    );
    assert_eq!(tally.failed, Vec::<String>::new(), "{calls:#?}");
    assert!(tally.missed.len() <= 2, "not met: {:?}", tally.missed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_while_it_recovers_it_recovers_again() {
    let calls = undisturbed().await;
    let first = ["/BeginTurn", "/Decide", "/RedeemGrant"].map(|method| {
        let at = calls.iter().position(|call| call.ends_with(method));
        Point {
            nth: at.expect("every run makes that call") + 1,
            side: "after",
        }
    });
    // Counted from the recovering system's own first call for the run.
    let second = [2, 5, 8, 11, 14, 17];
    let pairs = first.iter().flat_map(|first| {
        second.map(|nth| {
            let second = Point { nth, side: "after" };
            vec![*first, second]
        })
    });
    let tally = Tally::of(pairs).await;
    println!("{} double deaths, {} not met", tally.died, tally.missed.len());
    assert_eq!(tally.failed, Vec::<String>::new(), "{calls:#?}");
    assert!(tally.died >= 12, "not met: {:?}", tally.missed);
}

//! Every process is stopped in order and started again while clients are at work, and so is Postgres: what was acknowledged
//! stays, and the work goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use harombe::attach::Client;
use harombe_e2e::{Instance, Log};
use harombe_proto::types::v1::{RunEvent, ToolOutcome};
use harombe_types::ServiceName;
use tokio::task::JoinHandle;

use crate::pair::Pair;
use crate::recovery::{Memory, finished};
use crate::support::{ANSWER, call, ending, until};

const CLIENTS: usize = 3;

/// Runs that must end after a restart before the next one.
const BETWEEN: usize = 4;

/// Longest time for a run to end: not a measure, only an end for what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn script() -> String {
    let write = "tool = \"file_write\"\narguments = { path = \"written.txt\", content = \"written\" }";
    [call(write), ANSWER.to_owned()].concat()
}

/// One run, by whichever gateway answers.
async fn one_run(clients: &[Client; 2]) -> Memory {
    let mut memory = Memory::default();
    let turns = (0..2).cycle();
    let work = async {
        for gateway in turns {
            let client = &clients[gateway];
            if memory.session.is_empty() && memory.try_begin(client).await.is_err() {
                continue;
            }
            let told = memory.go_on(client).await;
            if told.is_ok() && memory.has_ended() {
                return;
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, work).await;
    assert!(
        ended.is_ok(),
        "the run does not end; seen: {:?}",
        memory.seen.values()
    );
    memory
}

/// Whether the run ended as it should, or said that a service was away.
fn acceptable(ending: &str) -> bool {
    let away = [
        "AUDIT_UNAVAILABLE",
        "HITL_UNAVAILABLE",
        "MEMORY_UNAVAILABLE",
        "STORE_UNAVAILABLE",
    ];
    ending == "finished:ANSWERED" || away.iter().any(|reason| ending == format!("failed:{reason}"))
}

/// Clients that begin one run after the other.
struct Load {
    clients: [Client; 2],
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    working: Vec<JoinHandle<Vec<Memory>>>,
}

impl Load {
    fn begin(world: &Pair) -> Self {
        let mut load = Self {
            clients: [world.cluster.client(0), world.cluster.client(1)],
            stop: Arc::default(),
            done: Arc::default(),
            working: Vec::new(),
        };
        for _ in 0..CLIENTS {
            let (clients, stop, done) = (load.clients.clone(), load.stop.clone(), load.done.clone());
            load.working.push(tokio::spawn(async move {
                let mut runs = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    runs.push(one_run(&clients).await);
                    done.fetch_add(1, Ordering::SeqCst);
                }
                runs
            }));
        }
        load
    }

    /// Waits until some more runs have ended.
    async fn goes_on(&self) {
        let enough = self.done.load(Ordering::SeqCst) + BETWEEN;
        until("the work to go on", async || {
            (self.done.load(Ordering::SeqCst) >= enough).then_some(())
        })
        .await;
    }

    /// Every run with its journal, which says what its client was told.
    async fn end(self) -> Vec<(Memory, Vec<RunEvent>)> {
        self.stop.store(true, Ordering::SeqCst);
        let mut runs = Vec::new();
        for client in self.working {
            for memory in client.await.unwrap() {
                let journal = memory.journal(&self.clients[0]).await;
                check(&memory, &journal, &self.clients[1]).await;
                runs.push((memory, journal));
            }
        }
        runs
    }
}

async fn check(memory: &Memory, journal: &[RunEvent], client: &Client) {
    assert!(acceptable(&ending(journal)), "{}", ending(journal));
    for (cursor, event) in &memory.seen {
        let kept = journal.iter().find(|other| other.cursor == *cursor);
        assert_eq!(kept, Some(event), "what was seen at {cursor} is there, unchanged");
    }
    let written = memory.talk(client).download("written.txt").await.ok();
    for call in finished(journal) {
        if call.outcome() == ToolOutcome::Ok {
            assert_eq!(written.as_deref(), Some(b"written".as_slice()));
        }
    }
}

/// How many of the runs were answered; the log tells of each of these, and of nothing twice.
fn answered(runs: &[(Memory, Vec<RunEvent>)], log: &Log) -> usize {
    let answered = runs
        .iter()
        .filter(|(_, journal)| ending(journal) == "finished:ANSWERED");
    let mut count = 0;
    for (memory, journal) in answered {
        memory.check_once(log, journal);
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_is_restarted_under_load_and_nothing_is_lost() {
    let mut world = Pair::start(&script(), None).await;
    let load = Load::begin(&world);
    let instances: Vec<Instance> = ServiceName::SERVICES
        .into_iter()
        .flat_map(|service| {
            let alive: Vec<_> = world.cluster.alive(service).collect();
            alive.into_iter().map(move |nth| (service, nth))
        })
        .collect();
    assert_eq!(instances.len(), 9, "{instances:?}");
    for instance in instances {
        world.cluster.stop_one(instance).await;
        world.cluster.revive(instance).await;
        load.goes_on().await;
    }
    let runs = load.end().await;
    let log = world.stop().await;
    let answered = answered(&runs, &log);
    println!(
        "{} runs while nine processes were restarted, {answered} of them answered",
        runs.len()
    );
    assert!(answered * 2 > runs.len(), "{answered} of {}", runs.len());
    // Every process ended in order: no number that it gave is missing.
    assert_eq!(log.report.unaccounted, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_stopped_and_killed_under_load_and_nothing_is_lost() {
    let mut world = Pair::on_postgres(&script()).await;
    let load = Load::begin(&world);
    load.goes_on().await;
    world.postgres().stop().await;
    world.postgres().start().await;
    load.goes_on().await;
    world.postgres().kill();
    world.postgres().start().await;
    load.goes_on().await;
    let runs = load.end().await;
    let log = world.stop().await;
    let answered = answered(&runs, &log);
    println!(
        "{} runs while Postgres went twice, {answered} of them answered",
        runs.len()
    );
    assert!(answered >= BETWEEN, "{answered} of {}", runs.len());
}

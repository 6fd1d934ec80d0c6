//! Every process is stopped in order and started again while clients are at work: what was acknowledged stays, and the work
//! goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use harombe::attach::Client;
use harombe_e2e::{Instance, Log};
use harombe_proto::types::v1::ToolOutcome;
use harombe_types::ServiceName;

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
    let away = ["AUDIT_UNAVAILABLE", "MEMORY_UNAVAILABLE", "HITL_UNAVAILABLE"];
    ending == "finished:ANSWERED" || away.iter().any(|reason| ending == format!("failed:{reason}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_is_restarted_under_load_and_nothing_is_lost() {
    let mut world = Pair::start(&script(), None).await;
    let clients = [world.cluster.client(0), world.cluster.client(1)];
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut working = Vec::new();
    for _ in 0..CLIENTS {
        let (clients, stop, done) = (clients.clone(), Arc::clone(&stop), Arc::clone(&done));
        working.push(tokio::spawn(async move {
            let mut runs = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                runs.push(one_run(&clients).await);
                done.fetch_add(1, Ordering::SeqCst);
            }
            runs
        }));
    }
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
        let enough = done.load(Ordering::SeqCst) + BETWEEN;
        until("the work to go on", async || {
            (done.load(Ordering::SeqCst) >= enough).then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut runs = Vec::new();
    for client in working {
        runs.extend(client.await.unwrap());
    }

    let mut journals = Vec::new();
    for memory in &runs {
        let journal = memory.journal(&clients[0]).await;
        assert!(acceptable(&ending(&journal)), "{}", ending(&journal));
        for (cursor, event) in &memory.seen {
            let kept = journal.iter().find(|other| other.cursor == *cursor);
            assert_eq!(kept, Some(event), "what was seen at {cursor} is there, unchanged");
        }
        let written = memory.talk(&clients[1]).download("written.txt").await.ok();
        for call in finished(&journal) {
            if call.outcome() == ToolOutcome::Ok {
                assert_eq!(written.as_deref(), Some(b"written".as_slice()));
            }
        }
        journals.push(journal);
    }
    let answered = journals
        .iter()
        .filter(|journal| ending(journal) == "finished:ANSWERED");
    let (answered, all) = (answered.count(), journals.len());
    println!("{all} runs while nine processes were restarted, {answered} of them answered");
    assert!(answered * 2 > all, "{answered} of {all}");
    let log = world.stop().await;
    for (memory, journal) in runs.iter().zip(&journals) {
        if ending(journal) == "finished:ANSWERED" {
            memory.check_once(&log, journal);
        }
    }
    check_numbers(&log);
}

/// Every process ended in order: no number that it gave is missing.
fn check_numbers(log: &Log) {
    assert_eq!(log.report.unaccounted, []);
}

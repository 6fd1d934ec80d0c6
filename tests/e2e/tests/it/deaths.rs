//! Any runtime and any gateway may be killed at any step of a run: the other one goes on with it. Every call that any
//! service makes for a run is a step; at each, before it and after it, whoever drives the run (or serves its client) dies.

use std::time::{Duration, Instant};

use harombe_e2e::{Instance, Points, Step};
use harombe_proto::types::v1::{RunEvent, ToolOutcome};
use harombe_types::ServiceName;

use crate::pair::Pair;
use crate::recovery::{Memory, finished, script};

/// How often a client tries again, with the other gateway.
const TRIES: usize = 40;

/// Longest time for a run to end: not a measure, only an end for what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    pair: Pair,
    points: Points,
    /// Runs so far.
    runs: usize,
    /// What came of them.
    ended: Vec<(Memory, Vec<RunEvent>)>,
}

impl World {
    async fn start() -> Self {
        let pair = Pair::start(&script(), Some("points")).await;
        Self {
            points: Points::create(&pair.path().join("points")).unwrap(),
            pair,
            runs: 0,
            ended: Vec::new(),
        }
    }

    /// A run from its message to its end, by whichever gateway answers, in which somebody dies if that is ordered; its label.
    async fn run(&mut self, death: Option<(&Step, ServiceName)>) -> String {
        self.runs += 1;
        let label = self.runs.to_string();
        let mut memory = Memory::default();
        memory.begin(&self.pair.cluster.client(0)).await;
        self.points.begin(&label).unwrap();
        if let Some((step, victim)) = death {
            self.points.arm(step, victim).unwrap();
        }
        for turn in 0..TRIES {
            // The gateway that is to die is the one that was asked first; then the other one is.
            let client = self
                .pair
                .cluster
                .client(u8::from(!(self.runs + turn).is_multiple_of(2)));
            match tokio::time::timeout(PATIENCE, memory.go_on(&client)).await {
                Err(_) => panic!("the run does not end; seen: {:?}", memory.seen.values()),
                Ok(Ok(())) if memory.has_ended() => break,
                Ok(Ok(())) => {}
                Ok(Err(status)) => assert_eq!(status.code(), tonic::Code::Unavailable, "{status} {death:?}"),
            }
        }
        assert!(memory.has_ended(), "seen: {:?}", memory.seen.values());
        self.ended.push((memory, Vec::new()));
        label
    }

    /// The steps of a run in which nobody dies. A machine that stalls for longer than a lease disturbs one too, and hardly
    /// two in the same way.
    async fn undisturbed(&mut self) -> Vec<Step> {
        let mut before = Vec::new();
        for _ in 0..TRIES {
            let label = self.run(None).await;
            let steps = self.points.steps(&label).unwrap();
            let mut sorted = steps.clone();
            sorted.sort();
            let unknown = self.check_last().await;
            if !unknown && sorted == before {
                return steps;
            }
            before = sorted;
        }
        panic!("every run was disturbed");
    }

    /// What the last run left, once everybody lives again; whether an outcome is unknown.
    async fn check_last(&mut self) -> bool {
        let mut client = self.pair.cluster.client(1);
        let (memory, journal) = self.ended.last_mut().unwrap();
        *journal = memory.journal(&client).await;
        memory.check_decisions(&mut client).await;
        let mut talk = memory.talk(&client);
        let mut left = Vec::new();
        for name in ["effects.txt", "written.txt"] {
            let file = talk.download(name).await.ok();
            left.push(file.map(|bytes| String::from_utf8(bytes).unwrap()));
        }
        memory.check_events(journal, left[0].as_deref(), left[1].as_deref());
        let ended = finished(journal);
        ended[..2]
            .iter()
            .any(|call| call.outcome() == ToolOutcome::Unknown)
    }

    /// A run in which the victim dies at that step; who died, and whether an outcome is unknown.
    async fn die_at(&mut self, step: &Step, victim: ServiceName) -> Option<(Instance, bool)> {
        self.run(Some((step, victim))).await;
        let process = self.points.disarm().unwrap();
        let died = match process {
            Some(process) => self.pair.cluster.died(process).await,
            None => None,
        };
        if let Some(instance) = died {
            self.pair.cluster.revive(instance).await;
        }
        let unknown = self.check_last().await;
        died.map(|instance| (instance, unknown))
    }

    async fn stop(self) {
        let log = self.pair.stop().await;
        for (memory, journal) in &self.ended {
            memory.check_log(&log, journal);
        }
    }
}

/// Kills the victim at each step, one run after the other; what came of it, in words.
async fn kill_at_each_step(victim: ServiceName) -> String {
    let begun = Instant::now();
    let mut world = World::start().await;
    let steps = world.undisturbed().await;
    let (mut died, mut unknown, mut missed) = ([0, 0], 0, Vec::new());
    for step in &steps {
        match world.die_at(step, victim).await {
            Some(((_, nth), unsure)) => {
                died[usize::from(nth)] += 1;
                unknown += usize::from(unsure);
            }
            None => missed.push(step),
        }
    }
    let told = format!(
        "{victim}: {} steps, killed {died:?}, an outcome unknown in {unknown}, {} steps not met, in {:?}",
        steps.len(),
        missed.len(),
        begun.elapsed()
    );
    world.stop().await;
    assert!(steps.len() > 20, "{steps:#?}");
    assert!(missed.len() <= steps.len() / 10, "not met: {missed:#?}");
    assert!(
        died.iter().all(|deaths| *deaths > 0),
        "only one of two was ever killed: {died:?}"
    );
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_killed_at_any_step_is_replaced_by_the_other() {
    println!("{}", kill_at_each_step(ServiceName::Runtime).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_killed_at_any_step_is_replaced_by_the_other() {
    println!("{}", kill_at_each_step(ServiceName::Gateway).await);
}

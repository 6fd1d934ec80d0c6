//! Clocks that are wrong: half a minute is borne by every service, with an hour nothing is done that should not be, who looks
//! is told to compare clocks, and when the clock is right again so is everything.

use std::time::Duration;

use harombe::compose::{Config, ModelSource};
use harombe_e2e::{Answer, Clocks, Cluster, Log, Plan, Talk, reason_of};
use harombe_proto::types::v1::Decision;
use harombe_proto::types::v1::run_event::Event;
use harombe_types::ServiceName;

use crate::ops::calls;
use crate::support::{ANSWER, NODE, call, ending, in_workspace, outcomes, shell, until};

/// Seconds.
const BORNE: [i64; 2] = [30, -30];
const TOO_MUCH: [i64; 2] = [3600, -3600];

/// What a run comes to: an execution, a file, and a place on the web that no policy allows.
const GOOD: &str = "finished:ANSWERED Ok Ok Denied:EGRESS_DENIED";

/// What it comes to while that service's clock is off by an hour. Whoever is shown a token then refuses it; audit is shown none
/// by other services.
const REFUSED: [(ServiceName, &str); 7] = [
    (ServiceName::Gateway, "MEMORY_UNAVAILABLE"),
    (ServiceName::Runtime, "UNAVAILABLE"),
    (ServiceName::Memory, "MEMORY_UNAVAILABLE"),
    (
        ServiceName::Hitl,
        "finished:ANSWERED Denied:UNAUTHENTICATED Denied:UNAUTHENTICATED Denied:EGRESS_DENIED",
    ),
    (
        ServiceName::SandboxBroker,
        "finished:ANSWERED Denied:UNAUTHENTICATED Denied:UNAUTHENTICATED Denied:EGRESS_DENIED",
    ),
    (
        ServiceName::EgressProxy,
        "finished:ANSWERED Ok Ok Denied:UNAUTHENTICATED",
    ),
    (ServiceName::Audit, GOOD),
];

struct World {
    cluster: Cluster,
    clocks: Clocks,
    talk: Talk,
    /// Executions that ended well.
    executions: usize,
    dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(settings: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("harombe-skew-")
            .tempdir()
            .unwrap();
        let script = [
            shell("echo done >> effect.txt"),
            call("tool = \"file_write\"\narguments = { path = \"written.txt\", content = \"written\" }"),
            call("tool = \"web_fetch\"\narguments = { url = \"https://elsewhere.example.com/\" }"),
            ANSWER.to_owned(),
        ];
        let model = dir.path().join("model.toml");
        std::fs::write(&model, script.concat()).unwrap();
        // As long as on a busy machine a lease may need to be.
        let mut config = Config::default();
        config.memory.lease = Duration::from_secs(10).into();
        config.runtime.agents.get_mut("default").unwrap().model = ModelSource::Scripted(model).to_string();
        settings(&mut config);
        let clocks = Clocks::create(&dir.path().join("clocks")).unwrap();
        let cluster = Cluster::start(Plan {
            program: NODE.to_owned(),
            dir: dir.path().to_owned(),
            config,
            outside: None,
            cut: None,
            log: Some("error".to_owned()),
            replicas: 1,
            points: None,
            clocks: Some(clocks.clone()),
        })
        .await;
        let talk = Talk::begin(cluster.client(0)).await.unwrap();
        Self {
            cluster,
            clocks,
            talk,
            executions: 0,
            dir,
        }
    }

    /// How a run ended and each of its calls, or why there was none.
    async fn run(&mut self) -> String {
        if let Err(status) = self.talk.say("Act.", Answer::Approve).await {
            return reason_of(&status).to_string();
        }
        let told = self.told();
        self.executions += usize::from(told.contains("ANSWERED Ok"));
        told
    }

    /// How the last run ended, and each of its calls.
    fn told(&self) -> String {
        let mut told = ending(&self.talk.events);
        for (outcome, reason) in outcomes(&self.talk) {
            told.push_str(&format!(" {outcome:?}"));
            if !reason.is_empty() {
                told.push_str(&format!(":{reason}"));
            }
        }
        told
    }

    /// Code ran as often as a client was told that it did.
    fn executed(&self, when: &str) {
        let effects = in_workspace(&self.cluster.data(0), "effect.txt").unwrap_or_default();
        assert_eq!(effects.lines().count(), self.executions, "{when}");
    }

    /// Whether whoever looks for the reason finds it: the model and its person in what a call came to, an operator in the log
    /// of the gateway, which tells clients nothing of what is wrong between services.
    fn clock_is_named(&self) -> bool {
        let names = |text: &str| text.contains("compare the clocks");
        let log = std::fs::read_to_string(self.dir.path().join("gateway-0.log")).unwrap();
        names(&log)
            || self
                .talk
                .finished()
                .iter()
                .any(|finished| names(&finished.result))
    }

    async fn stop(self) -> Log {
        let audit = self.cluster.data(0).join("audit");
        self.cluster.stop().await;
        Log::verified(audit.as_path()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_minute_is_borne_by_every_service() {
    let mut world = World::start().await;
    for service in ServiceName::SERVICES {
        for seconds in BORNE {
            world.clocks.set(service, seconds).unwrap();
            assert_eq!(world.run().await, GOOD, "{service} at {seconds} s");
            world.clocks.set(service, 0).unwrap();
        }
    }
    world.executed("at the end");
    world.stop().await.assert_complete();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_hour_nothing_is_done_until_the_clock_is_right_again() {
    let mut world = World::start().await;
    for (service, refused) in REFUSED {
        for seconds in TOO_MUCH {
            let when = format!("{service} at {seconds} s");
            world.clocks.set(service, seconds).unwrap();
            assert_eq!(world.run().await, refused, "{when}");
            assert!(refused == GOOD || world.clock_is_named(), "{when}");
            world.executed(&when);
            world.clocks.set(service, 0).unwrap();
            assert_eq!(world.run().await, GOOD, "after {when}");
        }
    }
    world.executed("at the end");
    world.stop().await.assert_complete();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_clock_jumps_keeps_its_runs() {
    let mut world = World::start().await;
    let mut stream = world.talk.send("m", "Act.").await.unwrap();
    let asked = world.talk.until(&mut stream, "approval_required").await.unwrap();
    let Some(Event::ApprovalRequired(required)) = asked.event else {
        panic!("{asked:?}")
    };
    let renewed = async |cluster: &Cluster| calls(cluster, ServiceName::Memory, "RenewLeases", "OK").await;
    for seconds in BORNE {
        world.clocks.set(ServiceName::Runtime, seconds).unwrap();
        let before = renewed(&world.cluster).await;
        until("the lease to be renewed", async || {
            (renewed(&world.cluster).await >= before + 2).then_some(())
        })
        .await;
    }
    let mut client = world.talk.client.clone();
    client
        .decide(&required.approval_id, Decision::Approved, false, "")
        .await
        .unwrap();
    world.talk.follow(stream, Answer::Leave).await.unwrap();
    assert_eq!(ending(&world.talk.events), "finished:ANSWERED");
    let log = world.stop().await;
    log.assert_complete();
    assert_eq!((log.count("run.started"), log.count("exec.started")), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_waits_when_hitls_clock_jumps_over_its_deadline_is_denied() {
    // The run's token outlives the jump, so hitl hears the run before and after it.
    let mut world = World::with(|config| config.gateway.wall_limit = Duration::from_secs(7200).into()).await;
    let mut stream = world.talk.send("m", "Act.").await.unwrap();
    world.talk.until(&mut stream, "approval_required").await.unwrap();
    world.clocks.set(ServiceName::Hitl, 3600).unwrap();
    // The run hears of it and goes on. What hitl grants by that clock is not good at the broker's yet.
    world.talk.follow(stream, Answer::Leave).await.unwrap();
    assert_eq!(
        world.told(),
        "finished:ANSWERED Denied:APPROVAL_EXPIRED Denied:GRANT_INVALID Denied:EGRESS_DENIED"
    );
    world.clocks.set(ServiceName::Hitl, 0).unwrap();
    assert_eq!(world.run().await, GOOD);
    world.executed("at the end");
    world.stop().await.assert_complete();
}

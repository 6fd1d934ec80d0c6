//! A disk that is full under one service: what needs room there is refused for a reason that says so, what needs a record does
//! not happen without one, the others go on, and when there is room again so does everything, without anybody's hands.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use harombe::compose::{Config, ModelSource};
use harombe_e2e::{Answer, Cluster, Log, Plan, Talk, reason_of};
use harombe_proto::agent::v1::{CreateKeyRequest, ListKeysRequest};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Decision, RunEvent, ToolOutcome};
use harombe_testkit::Disk;
use harombe_types::ServiceName;
use tonic::Status;

use crate::ops::{calls, get};
use crate::support::{ANSWER, NODE, call, ending, in_workspace, outcomes, shell, until};

/// Enough for a service to start on and to work for a while.
const SIZE: &str = "24m";

/// How often something is done until the disk is missed: a database goes on in room that it took before.
const UNTIL_REFUSED: usize = 100;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// A message whose run executes code, which has to be approved, and then writes a file.
    Run,
    /// A new session.
    Session,
    /// A file into the workspace.
    Upload,
    /// A new API key.
    Key,
}

/// What is refused, and with which reason.
type Refused = &'static [(Act, &'static str)];

/// What a client is told while the disk under that service, with its folder, is full. The acts that are not named succeed.
const TABLE: [(ServiceName, &str, Refused); 5] = [
    (
        ServiceName::Audit,
        "audit",
        &[
            (Act::Run, "failed:AUDIT_UNAVAILABLE"),
            (Act::Upload, "AUDIT_UNAVAILABLE"),
            (Act::Key, "AUDIT_UNAVAILABLE"),
        ],
    ),
    (
        ServiceName::Memory,
        "memory",
        &[
            (Act::Run, "STORE_UNAVAILABLE"),
            (Act::Session, "STORE_UNAVAILABLE"),
        ],
    ),
    (
        ServiceName::Hitl,
        "hitl",
        &[
            (Act::Run, "Denied:STORE_UNAVAILABLE"),
            (Act::Upload, "STORE_UNAVAILABLE"),
        ],
    ),
    (
        ServiceName::SandboxBroker,
        "broker",
        &[
            (Act::Run, "Failed:WORKSPACE_FULL"),
            (Act::Upload, "WORKSPACE_FULL"),
        ],
    ),
    (
        ServiceName::Gateway,
        "gateway",
        &[(Act::Run, "STORE_UNAVAILABLE"), (Act::Key, "STORE_UNAVAILABLE")],
    ),
];

/// Everything that a client was told is done.
#[derive(Default)]
struct Done {
    /// Journals by run.
    runs: Vec<(String, Vec<RunEvent>)>,
    /// Files with their content.
    files: Vec<(String, String)>,
    keys: Vec<String>,
    /// Executions that ended well.
    executions: usize,
}

struct World {
    cluster: Cluster,
    talk: Talk,
    done: Done,
    /// So that no two names are the same.
    acts: usize,
    disks: BTreeMap<ServiceName, Disk>,
    dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("harombe-disk-")
            .tempdir()
            .unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        let mut disks = BTreeMap::new();
        for (service, folder, _) in TABLE {
            let disk = Disk::of(SIZE);
            symlink(disk.path(), dir.path().join("data").join(folder)).unwrap();
            disks.insert(service, disk);
        }
        let script = [
            shell("echo done >> effect.txt"),
            call("tool = \"file_write\"\narguments = { path = \"written.txt\", content = \"written\" }"),
            ANSWER.to_owned(),
        ];
        let model = dir.path().join("model.toml");
        fs::write(&model, script.concat()).unwrap();
        let mut config = Config::default();
        config.runtime.agents.get_mut("default").unwrap().model = ModelSource::Scripted(model).to_string();
        let cluster = Cluster::start(Plan {
            program: NODE.to_owned(),
            dir: dir.path().to_owned(),
            config,
            outside: None,
            cut: None,
            log: None,
            replicas: 1,
            points: None,
            clocks: None,
        })
        .await;
        let talk = Talk::begin(cluster.client(0)).await.unwrap();
        Self {
            cluster,
            talk,
            done: Done::default(),
            acts: 0,
            disks,
            dir,
        }
    }

    /// Writes until nothing more fits; the file is to be removed.
    fn fill(&self, service: ServiceName) -> PathBuf {
        let path = self.disks[&service].path().join("filler");
        let mut file = File::create(&path).unwrap();
        loop {
            match file.write(&[7; 4096]) {
                Ok(written) => assert!(written > 0),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                    return path;
                }
            }
        }
    }

    /// What a client is told: `ok`, or why not.
    async fn act(&mut self, act: Act) -> String {
        self.acts += 1;
        let told = match act {
            Act::Run => self.run().await,
            Act::Session => Talk::begin(self.talk.client.clone())
                .await
                .map(|_| "ok".to_owned()),
            Act::Upload => self.upload().await,
            Act::Key => self.key().await,
        };
        told.unwrap_or_else(|status| reason_of(&status).to_string())
    }

    async fn run(&mut self) -> Result<String, Status> {
        self.talk.say("Act.", Answer::Approve).await?;
        let run = self.talk.run_id().to_owned();
        self.done.runs.push((run.clone(), self.talk.watched(&run).await?));
        let ended = ending(&self.talk.events);
        if ended != "finished:ANSWERED" {
            return Ok(ended);
        }
        let outcomes = outcomes(&self.talk);
        assert_eq!(outcomes.len(), 2, "{outcomes:?}");
        self.done.executions += usize::from(outcomes[0].0 == ToolOutcome::Ok);
        match outcomes.iter().find(|(outcome, _)| *outcome != ToolOutcome::Ok) {
            None => Ok("ok".to_owned()),
            Some((outcome, reason)) => Ok(format!("{outcome:?}:{reason}")),
        }
    }

    async fn upload(&mut self) -> Result<String, Status> {
        let (name, content) = (format!("uploaded-{}", self.acts), "uploaded ".repeat(1000));
        self.talk.upload(&name, content.as_bytes()).await?;
        self.done.files.push((name, content));
        Ok("ok".to_owned())
    }

    async fn key(&mut self) -> Result<String, Status> {
        let request = CreateKeyRequest {
            name: format!("key {}", self.acts),
            subject: "somebody".to_owned(),
            roles: vec!["user".to_owned()],
            ..CreateKeyRequest::default()
        };
        self.talk.client.keys.create_key(request.clone()).await?;
        self.done.keys.push(request.name);
        Ok("ok".to_owned())
    }

    /// Does it until it is refused for a reason: what was done before is done for good.
    async fn until_refused(&mut self, act: Act) -> String {
        for _ in 0..UNTIL_REFUSED {
            let told = self.act(act).await;
            // On a busy machine a call may spend its time on being tried again.
            if !["ok", "DEADLINE_EXCEEDED"].contains(&told.as_str()) {
                return told;
            }
        }
        panic!("{act:?} is never refused")
    }

    /// Does everything, as if nothing had been.
    async fn works(&mut self, after: &str) {
        for act in [Act::Session, Act::Key, Act::Upload, Act::Run] {
            assert_eq!(self.act(act).await, "ok", "{act:?} {after}");
        }
        self.executed(after);
    }

    /// Code ran as often as it was said that it did.
    fn executed(&self, when: &str) {
        let effects = in_workspace(&self.cluster.data(0), "effect.txt").unwrap_or_default();
        assert_eq!(effects.lines().count(), self.done.executions, "{when}");
    }

    async fn ready(&self, service: ServiceName) -> bool {
        let answer = get(&self.cluster, service, "/readyz").await;
        answer.starts_with("HTTP/1.1 200 ")
    }

    /// Nothing of what was told is gone.
    async fn check_done(&mut self) {
        for (run, journal) in &self.done.runs {
            assert_eq!(&self.talk.watched(run).await.unwrap(), journal);
        }
        for (name, content) in &self.done.files {
            assert_eq!(self.talk.download(name).await.unwrap(), content.as_bytes());
        }
        let listed = self.talk.client.keys.list_keys(ListKeysRequest::default()).await;
        let keys = listed.unwrap().into_inner().keys;
        for name in &self.done.keys {
            assert!(keys.iter().any(|key| &key.name == name), "{name}");
        }
    }

    async fn stop(self) -> Log {
        let audit = self.cluster.data(0).join("audit");
        self.cluster.stop().await;
        let log = Log::verified(audit.as_path()).await;
        drop((self.disks, self.dir));
        log
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_one_service_loses_nothing_and_needs_no_hands() {
    let mut world = World::start().await;
    world.works("at first").await;
    for (service, _, refused) in TABLE {
        let filler = world.fill(service);
        for (act, why) in refused {
            assert_eq!(world.until_refused(*act).await, *why, "{act:?} without {service}");
        }
        // What the gateway counts of a key's use it counts in its store.
        for act in [Act::Session, Act::Key] {
            if service != ServiceName::Gateway && !refused.iter().any(|(other, _)| *other == act) {
                assert_eq!(world.act(act).await, "ok", "{act:?} without {service}");
            }
        }
        for other in ServiceName::SERVICES
            .into_iter()
            .filter(|other| *other != service)
        {
            assert!(world.ready(other).await, "{other} without {service}");
        }
        world.executed(&format!("without {service}"));
        fs::remove_file(filler).unwrap();
        world.works(&format!("when {service} has room again")).await;
    }
    world.check_done().await;
    let executions = world.done.executions;
    let log = world.stop().await;
    log.assert_acts_in_order();
    let ended = log
        .of("exec.finished")
        .filter(|record| record.leaf.outcome == "ok" && record.details.contains("\"tool\":\"code_execute\""));
    assert_eq!(ended.count(), executions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_journal_has_no_room_goes_on_when_there_is_some() {
    let mut world = World::start().await;
    let mut stream = world.talk.send("m", "Act.").await.unwrap();
    let asked = world.talk.until(&mut stream, "approval_required").await.unwrap();
    let filler = world.fill(ServiceName::Memory);
    let Some(Event::ApprovalRequired(required)) = asked.event else {
        panic!("{asked:?}")
    };
    // That is hitl's, which has room; what comes of it cannot be written down.
    let mut client = world.talk.client.clone();
    client
        .decide(&required.approval_id, Decision::Approved, false, "")
        .await
        .unwrap();
    until("memory to refuse", async || {
        let refused = calls(
            &world.cluster,
            ServiceName::Memory,
            "RunJournalService/Append",
            "UNAVAILABLE",
        );
        (refused.await > 0).then_some(())
    })
    .await;
    fs::remove_file(filler).unwrap();
    let run = asked.run_id;
    let told = until("the run to end", async || {
        let told = world.talk.say_as("m", "Act.", Answer::Approve).await;
        (told.is_ok() && ending(&world.talk.events) == "finished:ANSWERED")
            .then(|| world.talk.run_id().to_owned())
    })
    .await;
    assert_eq!(told, run);
    assert_eq!(outcomes(&world.talk), [(ToolOutcome::Ok, ""); 2]);
    let effects = in_workspace(&world.cluster.data(0), "effect.txt").unwrap();
    assert_eq!(effects.lines().count(), 1);
    world.stop().await.assert_complete();
}

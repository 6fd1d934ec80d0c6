//! The driver on the real runsc.

mod isolation;
mod limits;

use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::domain::driver::{Chunk, Stream};
use crate::domain::execution::{Ending, execute};
use crate::domain::language::Language;
use crate::domain::limits::{LimitsRequest, MIB};
use crate::workspace::Workspace;

fn runsc() -> Runsc {
    static FOUND: OnceLock<Runsc> = OnceLock::new();
    let find = || Runsc::find(None, std::env::var_os("PATH").as_deref());
    FOUND
        .get_or_init(|| find().unwrap_or_else(|missing| panic!("{missing}")))
        .clone()
}

struct Fixture {
    state: tempfile::TempDir,
    gvisor: Gvisor,
    workspace: Workspace,
}

fn fixture() -> Fixture {
    let state = tempfile::tempdir().unwrap();
    let gvisor = Gvisor::open(&state.path().join("driver"), runsc())
        .unwrap_or_else(|why| panic!("run the tests as root on a machine with control groups: {why}"));
    let workspaces = Workspaces::open(&state.path().join("workspaces"), SANDBOX_USER).unwrap();
    let workspace = workspaces.create(Uuid::now_v7()).unwrap();
    Fixture {
        state,
        gvisor,
        workspace,
    }
}

#[derive(Debug)]
struct Ran {
    ending: Ending,
    out: String,
    err: String,
}

impl Fixture {
    fn spec(&self, language: Language, program: &str) -> SandboxSpec {
        SandboxSpec {
            language,
            program: program.as_bytes().to_vec(),
            env: Vec::new(),
            workspace: self.workspace.path().to_owned(),
            // Time is what a busy machine has too little of.
            limits: Limits {
                time_millis: Limits::MAXIMUM.time_millis,
                ..Limits::DEFAULT
            },
        }
    }

    async fn run(&self, spec: &SandboxSpec) -> Ran {
        let (sender, mut receiver) = mpsc::channel(16);
        let collect = async {
            let mut both = [Vec::new(), Vec::new()];
            while let Some(Chunk { stream, bytes }) = receiver.recv().await {
                let index = usize::from(stream == Stream::Err);
                both[index].extend_from_slice(&bytes);
            }
            both.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let workspace = Workspaces::open(self.workspace.path().parent().unwrap(), SANDBOX_USER).unwrap();
        let id = self
            .workspace
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let limit = spec.limits.workspace;
        let over = Arc::new(move || workspace.get(id).unwrap().unwrap().usage().exceeds(limit));
        let execution = async {
            let finished = execute(&self.gvisor, spec, over, &sender).await;
            drop(sender);
            finished
        };
        let (finished, [out, err]) = tokio::join!(execution, collect);
        let finished = finished.unwrap();
        Ran {
            ending: finished.ending,
            out,
            err,
        }
    }

    async fn shell(&self, program: &str) -> Ran {
        self.run(&self.spec(Language::Shell, program)).await
    }

    async fn python(&self, program: &str) -> Ran {
        self.run(&self.spec(Language::Python, program)).await
    }

    /// Waits until nothing of any sandbox is left: the undertaker works in the background.
    fn nothing_left(self) {
        let Self {
            state,
            gvisor,
            workspace: _,
        } = self;
        let sandboxes = gvisor.sandboxes.clone();
        let groups: Vec<PathBuf> = fs::read_dir(&sandboxes)
            .unwrap()
            .map(|entry| {
                fs::read_to_string(entry.unwrap().path().join(undertaker::GROUPS)).unwrap_or_default()
            })
            .flat_map(|text| text.lines().map(PathBuf::from).collect::<Vec<_>>())
            .collect();
        drop(gvisor);
        assert_eq!(fs::read_dir(&sandboxes).unwrap().count(), 0);
        assert!(groups.iter().all(|group| !group.exists()), "{groups:?}");
        drop(state);
    }
}

#[tokio::test]
async fn every_language_of_this_host_prints() {
    let f = fixture();
    for (language, program) in [
        (
            Language::Python,
            "import sys\nprint(1)\nprint(2, file=sys.stderr)",
        ),
        (Language::JavaScript, "console.log(1); console.error(2)"),
        (Language::Shell, "echo 1; echo 2 >&2"),
    ] {
        if f.gvisor.interpreters().path(language).is_none() {
            continue;
        }
        let ran = f.run(&f.spec(language, program)).await;
        assert_eq!(
            (ran.ending, &*ran.out, &*ran.err),
            (Ending::Exited(0), "1\n", "2\n"),
            "{language}"
        );
    }
    f.nothing_left();
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    let f = fixture();
    assert_eq!(f.shell("exit 137").await.ending, Ending::Exited(137));
    assert_eq!(f.shell("kill -9 $$").await.ending, Ending::Signaled(9));
    assert_eq!(f.python("raise SystemExit(3)").await.ending, Ending::Exited(3));
    let failed = f.python("1/0").await;
    assert_eq!(failed.ending, Ending::Exited(1));
    assert!(
        failed.err.contains("main.py\", line 1") && failed.err.contains("ZeroDivisionError"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn files_go_in_and_come_out_and_stay_for_the_next_program() {
    let f = fixture();
    let path = |text: &str| crate::workspace::WorkspacePath::parse(text).unwrap();
    f.workspace
        .write(&path("in/data.csv"), b"a,b\n1,2\n", MIB)
        .unwrap();
    let program = "import mmap\n\
         open('out.txt','w').write(open('/workspace/in/data.csv').read().upper())\n\
         open('in/data.csv','a').write('3,4\\n')\n\
         open('helper.py','w').write('answer = 42')\n\
         f = open('mapped','w+b'); f.truncate(4); m = mmap.mmap(f.fileno(), 4); m[:] = b'mmap'\n";
    assert_eq!(f.python(program).await.ending, Ending::Exited(0));
    assert_eq!(f.workspace.read(&path("out.txt"), 100).unwrap(), b"A,B\n1,2\n");
    assert_eq!(
        f.workspace.read(&path("in/data.csv"), 100).unwrap(),
        b"a,b\n1,2\n3,4\n"
    );
    assert_eq!(f.workspace.read(&path("mapped"), 100).unwrap(), b"mmap");
    assert_eq!(f.python("import helper; print(helper.answer)").await.out, "42\n");
}

/// As in a unit of systemd with `UMask=0077`: what sandboxes read of the broker's making must be open to them all the same.
#[test]
fn a_strict_umask_of_the_broker_keeps_nothing_from_its_sandboxes() {
    let test = "gvisor::tests::files_go_in_and_come_out_and_stay_for_the_next_program";
    let again = std::process::Command::new("sh")
        .args(["-c", "umask 077; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && told.contains("1 passed"), "{told}");
}

#[tokio::test]
async fn dropping_an_execution_kills_it() {
    let f = fixture();
    let spec = f.spec(Language::Shell, "echo alive; sleep 1000");
    let (sender, mut receiver) = mpsc::channel(16);
    tokio::select! {
        finished = execute(&f.gvisor, &spec, Arc::new(|| false), &sender) => panic!("{finished:?}"),
        chunk = receiver.recv() => assert!(b"alive\n".starts_with(&chunk.unwrap().bytes)),
    }
    f.nothing_left();
}

#[tokio::test]
async fn a_program_that_cannot_be_run_says_so() {
    let f = fixture();
    let mut spec = f.spec(Language::Shell, "echo x");
    spec.workspace = f.state.path().join("absent");
    let refused = f.gvisor.start(&spec).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, DriverError::Start(_)), "{refused:?}");
    f.nothing_left();
}

#[tokio::test]
async fn what_a_killed_broker_left_is_swept_up() {
    let f = fixture();
    let spec = f.spec(Language::Shell, "echo alive; sleep 1000");
    let mut sandbox = f.gvisor.start(&spec).await.unwrap();
    assert!(sandbox.next().await.is_some());
    // As after kill -9: nothing of the first driver gets to clean up while the second one starts.
    let left: Vec<_> = fs::read_dir(&f.gvisor.sandboxes)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    let groups = cgroup_of(&left[0]);
    assert!(groups.iter().all(|group| group.exists()));
    let second = Gvisor::open(&f.state.path().join("driver"), runsc()).unwrap();
    assert!(groups.iter().all(|group| !group.exists()));
    assert_eq!(fs::read_dir(&second.sandboxes).unwrap().count(), 0);
}

/// Set for the process that [`killing_the_broker_kills_its_sandboxes`] starts: where it keeps its state.
const BROKER_TO_KILL: &str = "HAROMBE_TEST_BROKER_TO_KILL";

#[tokio::test]
async fn killing_the_broker_kills_its_sandboxes() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("driver");
    let mut broker = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "gvisor::tests::broker_to_kill",
        ])
        .env(BROKER_TO_KILL, directory.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = io::BufRead::lines(io::BufReader::new(broker.stdout.take().unwrap()));
    assert!(lines.map_while(Result::ok).any(|line| line.contains("alive")));
    broker.kill().unwrap();
    broker.wait().unwrap();
    let left: Vec<_> = fs::read_dir(state.join("sandboxes"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(left.len(), 1);
    let groups = cgroup_of(&left[0]);
    let living = || {
        groups
            .iter()
            .any(|group| !fs::read_to_string(group.join("cgroup.procs")).unwrap().is_empty())
    };
    // Nobody sweeps here: the kernel and the guest see the broker's end by themselves, a moment later.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while living() {
        assert!(
            std::time::Instant::now() < deadline,
            "the sandbox outlives its broker"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(Gvisor::open(&state, runsc()).unwrap());
    assert!(groups.iter().all(|group| !group.exists()));
}

#[tokio::test]
#[ignore = "the broker that killing_the_broker_kills_its_sandboxes starts and kills"]
async fn broker_to_kill() {
    let directory = PathBuf::from(std::env::var_os(BROKER_TO_KILL).unwrap());
    let gvisor = Gvisor::open(&directory.join("driver"), runsc()).unwrap();
    let workspaces = Workspaces::open(&directory.join("workspaces"), SANDBOX_USER).unwrap();
    let spec = SandboxSpec {
        language: Language::Shell,
        program: b"echo alive; sleep 1000".to_vec(),
        env: Vec::new(),
        workspace: workspaces.create(Uuid::now_v7()).unwrap().path().to_owned(),
        limits: Limits::DEFAULT,
    };
    let mut sandbox = gvisor.start(&spec).await.unwrap();
    let chunk = sandbox.next().await.unwrap();
    println!("{}", String::from_utf8_lossy(&chunk.bytes));
    std::future::pending::<()>().await;
}

fn cgroup_of(sandbox: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(sandbox.join(undertaker::GROUPS)).unwrap();
    text.lines().map(PathBuf::from).collect()
}

#[tokio::test]
async fn ten_sandboxes_at_once_do_not_disturb_each_other() {
    let f = fixture();
    let spec = |i: usize| f.spec(Language::Shell, &format!("echo {i}; exit {i}"));
    let specs: Vec<_> = (0..10).map(spec).collect();
    let runs = specs.iter().map(|spec| f.run(spec));
    let ran = futures_util::future::join_all(runs).await;
    for (i, ran) in ran.iter().enumerate() {
        let code = i32::try_from(i).unwrap();
        assert_eq!(
            (ran.ending, ran.out.trim()),
            (Ending::Exited(code), &*i.to_string())
        );
    }
    f.nothing_left();
}

#[tokio::test]
async fn output_is_live() {
    let f = fixture();
    let spec = f.spec(Language::Python, "import time\nprint('first')\ntime.sleep(600)");
    let mut sandbox = f.gvisor.start(&spec).await.unwrap();
    let mut seen = Vec::new();
    while seen != b"first\n" {
        let chunk = tokio::time::timeout(Duration::from_secs(60), sandbox.next());
        seen.extend_from_slice(&chunk.await.unwrap().unwrap().bytes);
    }
    sandbox.kill().await.unwrap();
    f.nothing_left();
}

//! What the scenarios share: the world they start in, and how they look at what came back.

use std::path::Path;
use std::time::Duration;

use harombe_e2e::{Setup, Stage, Talk, Topology, World, differences};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, ToolFinished, ToolOutcome};
use harombe_testkit::files_under;

/// The program that runs services apart.
pub(crate) const NODE: &str = env!("CARGO_BIN_EXE_harombe-e2e-node");

/// How often a condition is looked at before a test gives up on it.
const TRIES: u32 = 2400;

/// Plays a scenario in one process, then in many: what clients and the log are told is the same.
pub(crate) async fn both(scenario: impl AsyncFn(&Stage)) {
    let mut told = Vec::new();
    for topology in [Topology::Embedded, Topology::Processes] {
        println!("{topology:?}");
        let stage = Stage::compared(topology);
        // Turns become memories in their own time: some of a world's last ones are on record when it ends, some are not.
        stage.leave_out("memory.saved");
        scenario(&stage).await;
        told.push(stage.told());
    }
    if let Some(differences) = differences(&told[0], &told[1]) {
        panic!("told in one process (-) and in many (+):\n{differences}");
    }
}

pub(crate) async fn start(stage: impl Into<Stage>, script: &str) -> World {
    World::start(stage, NODE, script).await
}

pub(crate) async fn start_with(
    stage: impl Into<Stage>,
    script: &str,
    change: impl FnOnce(&mut Setup),
) -> World {
    World::start_with(stage, NODE, script, change).await
}

pub(crate) async fn talk(world: &World) -> Talk {
    world.talk().await.unwrap()
}

/// A turn of the script that calls `code_execute` with Python.
pub(crate) fn python(code: &str) -> String {
    execute("python", code)
}

/// … with shell.
pub(crate) fn shell(code: &str) -> String {
    execute("shell", code)
}

fn execute(language: &str, code: &str) -> String {
    call(&format!(
        "tool = \"code_execute\"\narguments = {{ language = \"{language}\", code = '''\n{code}\n''' }}"
    ))
}

/// A turn with one call.
pub(crate) fn call(body: &str) -> String {
    format!("[[turn]]\ntext = \"I will.\"\n[[turn.calls]]\n{body}\n")
}

/// A turn that ends the run, telling what the last tool answered.
pub(crate) const ANSWER: &str = "[[turn]]\ntext = \"Done: {{result}}\"\n";

/// Looks again and again until there is something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..TRIES {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain for {what}");
}

/// The calls' outcomes with their reasons, in the order in which they ended.
pub(crate) fn outcomes(talk: &Talk) -> Vec<(ToolOutcome, &str)> {
    talk.finished().into_iter().map(outcome).collect()
}

pub(crate) fn outcome(finished: &ToolFinished) -> (ToolOutcome, &str) {
    (finished.outcome(), finished.reason.as_str())
}

/// The last event of a run, as `finished:REASON` or `failed:REASON`.
pub(crate) fn ending(events: &[RunEvent]) -> String {
    match events.last().and_then(|event| event.event.as_ref()) {
        Some(Event::RunFinished(finished)) => {
            let name = finished.stop_reason().as_str_name();
            format!("finished:{}", name.trim_start_matches("STOP_REASON_"))
        }
        Some(Event::RunFailed(failed)) => format!("failed:{}", failed.reason),
        other => format!("not ended, but {other:?}"),
    }
}

/// A file of the one workspace that the world has, as it lies on the disk; `None` when it is not there.
pub(crate) fn in_workspace(data: &Path, name: &str) -> Option<String> {
    let found = files_under(&data.join("broker/workspaces"))
        .into_iter()
        .find(|path| path.ends_with(name))?;
    Some(std::fs::read_to_string(found).unwrap())
}

//! Measures what the driver adds to gVisor's own start: Python's `print(1)` through the driver and by a bare
//! `runsc run` of the same bundle, in alternation. Prints one JSON object.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harombe_sandbox_broker::domain::driver::SandboxSpec;
use harombe_sandbox_broker::domain::execution::execute;
use harombe_sandbox_broker::domain::language::Language;
use harombe_sandbox_broker::domain::limits::Limits;
use harombe_sandbox_broker::gvisor::{Gvisor, Runsc, SANDBOX_USER};
use harombe_sandbox_broker::workspace::Workspaces;
use tokio::sync::mpsc;
use uuid::Uuid;

const ROUNDS: usize = 40;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let state = tempfile::tempdir()?;
    let runsc = Runsc::find(None, std::env::var_os("PATH").as_deref())?;
    let gvisor = Gvisor::open(&state.path().join("driver"), runsc.clone())?;
    let workspaces = Workspaces::open(&state.path().join("workspaces"), SANDBOX_USER)?;
    let workspace = workspaces.create(Uuid::now_v7())?;
    let spec = SandboxSpec {
        language: Language::Python,
        program: b"print(1)".to_vec(),
        env: Vec::new(),
        workspace: workspace.path().to_owned(),
        limits: Limits::DEFAULT,
    };
    let bundle = state.path().join("bare");
    std::fs::create_dir(&bundle)?;
    bare_bundle(&bundle, &state.path().join("driver/root"), workspace.path())?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let (sender, mut receiver) = mpsc::channel(4);
        execute(&gvisor, &spec, Arc::new(|| false), &sender).await?;
        ours.push(begun.elapsed());
        assert_eq!(
            receiver.recv().await.map(|chunk| chunk.bytes.first().copied()),
            Some(Some(b'1'))
        );
        bare.push(run_bare(runsc.path(), &bundle, round)?);
    }
    let (ours, bare) = (median(ours), median(bare));
    let figures = serde_json::json!({
        "name": "cold-start", "n": ROUNDS,
        "ours_p50_us": ours.as_micros(), "bare_p50_us": bare.as_micros(),
        "ratio": ours.as_secs_f64() / bare.as_secs_f64(),
    });
    std::io::Write::write_all(&mut std::io::stdout(), format!("{figures}\n").as_bytes())?;
    Ok(())
}

fn run_bare(runsc: &Path, bundle: &Path, round: usize) -> Result<Duration, Box<dyn Error>> {
    let begun = Instant::now();
    let status = Command::new(runsc)
        .arg("--root")
        .arg(bundle.join("state"))
        .args([
            "--platform=systrap",
            "--network=none",
            "--ignore-cgroups",
            "--overlay2=none",
            "run",
            "--bundle",
        ])
        .arg(bundle)
        .arg(format!("bare-{round}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    assert!(status.success());
    Ok(begun.elapsed())
}

/// The driver's bundle with Python in the place of the guest.
fn bare_bundle(bundle: &Path, root: &Path, workspace: &Path) -> Result<(), Box<dyn Error>> {
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| serde_json::json!({ "destination": destination, "type": kind, "source": source, "options": options });
    let config = serde_json::json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": SANDBOX_USER, "gid": SANDBOX_USER },
            "args": ["/usr/bin/python3", "-c", "print(1)"],
            "env": ["PATH=/usr/bin:/bin"], "cwd": "/workspace", "capabilities": {},
        },
        "root": { "path": root, "readonly": true },
        "mounts": [
            mount("/proc", "proc", "proc", &[]),
            mount("/tmp", "tmpfs", "tmpfs", &[]),
            mount("/usr", "bind", "/usr", &["rbind", "ro"]),
            mount("/workspace", "bind", &workspace.to_string_lossy(), &["bind", "rw"]),
        ],
        "linux": { "namespaces": [
            { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
        ] },
    });
    std::fs::write(bundle.join("config.json"), config.to_string())?;
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

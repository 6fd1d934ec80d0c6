//! A bare `runsc run`: a bundle with the host's programs bound read-only, Python's `print(1)`, and nothing of ours.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;

use super::Result;

pub(super) struct Bare {
    runsc: PathBuf,
    dir: tempfile::TempDir,
}

impl Bare {
    pub(super) fn new(runsc: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("harombe-bare-").tempdir()?;
        for folder in ["root", "rootfs/proc", "rootfs/tmp"] {
            std::fs::create_dir_all(dir.path().join(folder))?;
        }
        let mut mounts = vec![json!({ "destination": "/proc", "type": "proc", "source": "proc" })];
        for path in ["/usr", "/bin", "/lib", "/lib64"] {
            std::fs::create_dir_all(dir.path().join("rootfs").join(path.trim_start_matches('/')))?;
            mounts.push(
                json!({ "destination": path, "type": "bind", "source": path, "options": ["bind", "ro"] }),
            );
        }
        std::fs::write(dir.path().join("config.json"), spec(&mounts).to_string())?;
        Ok(Self {
            runsc: runsc.to_owned(),
            dir,
        })
    }

    /// One run from start to end.
    pub(super) async fn run(&self) -> Result<Duration> {
        let began = Instant::now();
        let output = Command::new(&self.runsc)
            .arg(format!("--root={}", self.dir.path().join("root").display()))
            .args([
                "--platform=systrap",
                "--network=none",
                "--ignore-cgroups",
                "run",
                "--bundle",
            ])
            .arg(self.dir.path())
            .arg("harombe-bare")
            .stdin(Stdio::null())
            .output()
            .await?;
        let took = began.elapsed();
        if output.status.success() && output.stdout == b"1\n" {
            return Ok(took);
        }
        Err(format!(
            "bare runsc: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into())
    }
}

fn spec(mounts: &[Value]) -> Value {
    json!({
        "ociVersion": "1.0.0",
        "process": {
            "user": { "uid": 65534, "gid": 65534 },
            "args": ["/usr/bin/python3", "-c", "print(1)"],
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/",
        },
        "root": { "path": "rootfs", "readonly": true },
        "mounts": mounts,
        "linux": { "namespaces": [
            { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
        ] },
    })
}

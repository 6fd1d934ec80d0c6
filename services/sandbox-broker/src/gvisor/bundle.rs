//! What runsc is told: the OCI bundle of one sandbox.
//!
//! The shape is that of the OCI runtime specification 1.0, `config.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::root::{GUEST, HostRoot, PYTHON_STARTUP};
use crate::domain::limits::{Limits, MIB};

/// Room for a program's text: programs are at most 1 MiB.
const PROGRAM_SPACE: u64 = 2 * MIB;

/// Paths of `/proc` and `/sys` that tell about the machine or act on it.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
];

/// Parts of `/proc` that are only to be read.
const READ_ONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Everything from which one sandbox is made.
#[derive(Debug)]
pub(super) struct Bundle<'a> {
    pub(super) id: &'a str,
    /// Its own directory on the host: the bundle and runsc's state.
    pub(super) directory: PathBuf,
    pub(super) root: &'a HostRoot,
    /// The directory that is `/workspace` inside.
    pub(super) workspace: &'a Path,
    pub(super) limits: &'a Limits,
    /// User and group inside.
    pub(super) user: u32,
}

impl Bundle<'_> {
    /// Makes the sandbox's directory.
    pub(super) fn make_directory(&self) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(&self.directory)?;
        fs::DirBuilder::new().mode(0o700).create(self.state())
    }

    /// Writes `config.json`.
    pub(super) fn write(&self) -> io::Result<()> {
        fs::write(self.directory.join("config.json"), self.config().to_string())
    }

    /// Where runsc keeps the state of this one sandbox.
    pub(super) fn state(&self) -> PathBuf {
        self.directory.join("runsc")
    }

    fn config(&self) -> Value {
        let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false,
                "user": { "uid": self.user, "gid": self.user, "umask": 0o022 },
                "args": [GUEST],
                "env": [],
                "cwd": "/workspace",
                "capabilities": {},
                "noNewPrivileges": true,
                "rlimits": [{ "type": "RLIMIT_CORE", "hard": 0, "soft": 0 }],
            },
            "root": { "path": self.root.path(), "readonly": true },
            "hostname": "sandbox",
            "mounts": self.mounts(),
            "linux": {
                "namespaces": namespaces,
                "maskedPaths": MASKED,
                "readonlyPaths": READ_ONLY,
            },
        })
    }

    fn mounts(&self) -> Vec<Value> {
        // Temporary files are memory: the program's limit covers both, so either may fill it.
        let memory = self.limits.memory;
        let user = self.user;
        let mut mounts = vec![
            json!({ "destination": "/proc", "type": "proc", "source": "proc",
                    "options": ["nosuid", "nodev", "noexec"] }),
            tmpfs("/tmp", memory, "1777", 0),
            tmpfs("/dev/shm", memory, "1777", 0),
            tmpfs("/run/harombe", PROGRAM_SPACE, "0700", user),
            json!({ "destination": "/workspace", "type": "bind", "source": self.workspace,
                    "options": ["bind", "rw", "nosuid", "nodev"] }),
        ];
        mounts.extend(self.root.visible().iter().map(|directory| {
            json!({ "destination": directory, "type": "bind", "source": directory,
                    "options": ["rbind", "ro", "nosuid", "nodev"] })
        }));
        mounts
    }
}

fn tmpfs(destination: &str, size: u64, mode: &str, owner: u32) -> Value {
    json!({
        "destination": destination,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": [
            "nosuid",
            "nodev",
            format!("size={size}"),
            format!("mode={mode}"),
            format!("uid={owner}"),
            format!("gid={owner}"),
        ],
    })
}

/// The whole environment of a program: ours, overlaid with what the call asks for. Nothing of the host's.
pub(super) fn environment(asked: &[(String, String)]) -> Vec<(String, String)> {
    let mut variables: BTreeMap<&str, &str> = BTreeMap::from([
        ("HOME", "/tmp"),
        ("LANG", "C.UTF-8"),
        // Modules that an earlier program of the session left in the workspace can be imported.
        ("NODE_PATH", "/workspace/node_modules:/workspace"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        // A `usercustomize` in the workspace would be run by every interpreter that starts.
        ("PYTHONNOUSERSITE", "1"),
        // Has the workspace searched after the standard library: a file there must not be able to stand in
        // for a module whose import was approved. That of the current directory would come first.
        ("PYTHONPATH", PYTHON_STARTUP),
        ("PYTHONSAFEPATH", "1"),
        // Output is wanted as it is written, not when a buffer is full.
        ("PYTHONUNBUFFERED", "1"),
        ("TMPDIR", "/tmp"),
        ("USER", "sandbox"),
    ]);
    variables.extend(asked.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_is_confined_by_its_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let root = HostRoot::build(&directory.path().join("root")).unwrap();
        let bundle = Bundle {
            id: "x",
            directory: directory.path().join("x"),
            root: &root,
            workspace: Path::new("/somewhere"),
            limits: &Limits::DEFAULT,
            user: 65532,
        };
        let config = bundle.config();
        assert_eq!(config["process"]["capabilities"], json!({}));
        assert_eq!(config["process"]["noNewPrivileges"], true);
        assert_eq!(config["process"]["user"]["uid"], 65532);
        assert_eq!(config["root"]["readonly"], true);
        let mounts = config["mounts"].as_array().unwrap();
        let writable: Vec<_> = mounts
            .iter()
            .filter(|m| m["type"] == "bind" && !m["options"].as_array().unwrap().contains(&json!("ro")))
            .map(|m| m["destination"].as_str().unwrap())
            .collect();
        assert_eq!(writable, ["/workspace"]);
        assert!(
            mounts
                .iter()
                .all(|m| m["options"].as_array().unwrap().contains(&json!("nosuid")))
        );
    }

    #[test]
    fn asked_variables_replace_ours_and_come_once() {
        let variables = environment(&[("PATH".into(), "/x".into()), ("A".into(), "b".into())]);
        let path: Vec<_> = variables.iter().filter(|(name, _)| name == "PATH").collect();
        assert_eq!(path, [&("PATH".to_owned(), "/x".to_owned())]);
        assert!(variables.contains(&("A".into(), "b".into())));
    }
}

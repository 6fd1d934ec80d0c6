//! Control groups: the host's side of a sandbox's limits, and the handle by which all of it is killed.
//!
//! The program's own limits are enforced inside. The groups bound sandbox and program together: when a
//! program breaks out of gVisor's accounting, or gVisor's kernel itself grows, they hold. Both versions are
//! supported; their files differ, so each has its own module.

mod hierarchy;
mod v1;
mod v2;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::domain::limits::{Limits, MIB};
use hierarchy::{Hierarchy, Mounts};

/// What gVisor's kernel and its helpers need beside the program, in bytes.
const MEMORY_ALLOWANCE: u64 = 96 * MIB;
/// gVisor runs a program's threads on about twice as many of its own, and has some for itself (60 of the
/// program's take about 125): a host limit near the program's own would crash the sandbox.
const fn tasks(processes: u32) -> u64 {
    processes as u64 * 4 + 64
}
/// Over this time processor limits are averaged, in microseconds.
const CPU_PERIOD: u64 = 100_000;
/// The group below which all sandboxes' groups lie.
const PARENT: &str = "harombe";

/// Why limits cannot be enforced.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A controller is not mounted, or not given to us.
    #[error("no control group controller for {0}: sandboxes could not be limited")]
    NoController(&'static str),
    /// Groups cannot be made or set up.
    #[error("could not set up the control group {path}")]
    Setup {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl CgroupError {
    fn setup(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Setup {
            path: path.to_owned(),
            source,
        }
    }
}

/// Where this host's groups for sandboxes are made.
#[derive(Debug)]
pub(super) struct Cgroups {
    hierarchy: Hierarchy,
}

/// The groups of one sandbox.
#[derive(Debug)]
pub(super) struct Cgroup {
    paths: Paths,
}

/// The directories of one sandbox's groups: one with version 2, one per controller with version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paths(Vec<PathBuf>);

impl Cgroups {
    /// Looks at what is mounted and checks that groups can be made.
    pub(super) fn detect() -> Result<Self, CgroupError> {
        let read = |path: &str| fs::read_to_string(path).map_err(CgroupError::setup(Path::new(path)));
        let mounts = Mounts::parse(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
        let hierarchy = Hierarchy::choose(&mounts)?;
        hierarchy.prepare()?;
        Ok(Self { hierarchy })
    }

    /// Where the groups of the sandbox `id` will be, so that this can be written down before they exist.
    pub(super) fn paths(&self, id: &str) -> Paths {
        Paths(self.hierarchy.parents().map(|parent| parent.join(id)).collect())
    }

    /// Makes the groups.
    pub(super) fn create(&self, paths: Paths, limits: &Limits) -> Result<Cgroup, CgroupError> {
        for path in &paths.0 {
            fs::create_dir(path).map_err(CgroupError::setup(path))?;
        }
        let group = Cgroup { paths };
        let limited = self.hierarchy.limit(&group.paths, &HostLimits::from(limits));
        if let Err(error) = limited {
            // Empty groups: nothing to wait for. What cannot be removed now is swept up at the next start.
            let _ = group.paths.remove();
            return Err(error);
        }
        Ok(group)
    }
}

/// What a sandbox as a whole may use on the host.
#[derive(Debug, Clone, Copy)]
struct HostLimits {
    memory: u64,
    tasks: u64,
    /// Microseconds of processor time in each [`CPU_PERIOD`].
    cpu_quota: u64,
}

impl From<&Limits> for HostLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            memory: limits.memory.saturating_add(MEMORY_ALLOWANCE),
            tasks: tasks(limits.processes),
            cpu_quota: u64::from(limits.cpu_millis) * CPU_PERIOD / 1000,
        }
    }
}

impl Cgroup {
    /// The files into which a process writes `0` to enter.
    pub(super) fn entrances(&self) -> io::Result<Vec<File>> {
        self.paths
            .0
            .iter()
            .map(|path| OpenOptions::new().write(true).open(path.join("cgroup.procs")))
            .collect()
    }

    /// Whether something in it was killed for using too much memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        // `memory.events` is version 2's name, `memory.oom_control` version 1's.
        let texts = self.paths.0.iter().flat_map(|path| {
            ["memory.events", "memory.oom_control"].map(|name| fs::read_to_string(path.join(name)))
        });
        texts.flatten().any(|text| oom_kills(&text) > 0)
    }

    /// Kills everything that is in it at this moment.
    pub(super) fn kill(&self) {
        self.paths.kill();
    }
}

fn oom_kills(text: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.strip_prefix("oom_kill "))
        .find_map(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

impl Paths {
    /// As lines of text, to be found again by [`Paths::parse`].
    pub(super) fn to_text(&self) -> String {
        self.0
            .iter()
            .map(|path| format!("{}\n", path.display()))
            .collect()
    }

    /// From lines of text. Only what can be one of our groups is taken: what is read is a file that a
    /// broker wrote in its last moments.
    pub(super) fn parse(text: &str) -> Self {
        let ours = |path: &PathBuf| {
            path.is_absolute()
                && path
                    .parent()
                    .and_then(Path::file_name)
                    .is_some_and(|p| p == PARENT)
        };
        Self(text.lines().map(PathBuf::from).filter(ours).collect())
    }

    /// Kills everything that is in the groups at this moment.
    fn kill(&self) {
        for path in &self.0 {
            // Version 2 kills a whole group at once; without that file the members are killed one by one.
            if fs::write(path.join("cgroup.kill"), "1").is_err() {
                for pid in members(path) {
                    // It may have ended by itself.
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
        }
    }

    /// Kills everything in the groups, waits until they are empty, and removes them. Blocks.
    pub(super) fn destroy(&self) -> io::Result<()> {
        // The kernel needs a moment to take a killed process apart, longer when it has much memory.
        const PATIENCE: u32 = 1000;
        let mut last = None;
        for attempt in 0..PATIENCE {
            self.kill();
            match self.remove() {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
            std::thread::sleep(Duration::from_millis(if attempt < 20 { 1 } else { 10 }));
        }
        Err(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::TimedOut)))
    }

    /// Removes the groups, which must be empty. Those that are gone already are no error.
    fn remove(&self) -> io::Result<()> {
        for path in &self.0 {
            match fs::remove_dir(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn members(group: &Path) -> Vec<Pid> {
    fs::read_to_string(group.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| Pid::from_raw(line.trim().parse().ok()?))
        .collect()
}

/// Writes one setting.
fn set(group: &Path, name: &str, value: &str) -> Result<(), CgroupError> {
    let path = group.join(name);
    fs::write(&path, value).map_err(CgroupError::setup(&path))
}

/// Writes a setting that not every kernel has.
fn set_where_known(group: &Path, name: &str, value: &str) -> Result<(), CgroupError> {
    let path = group.join(name);
    if path.exists() {
        set(group, name, value)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;

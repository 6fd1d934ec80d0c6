//! Version 2: one tree. Ours lie at its top, because a group with processes in it, as our own, may not
//! have groups with controllers below it.

use std::fs;
use std::path::{Path, PathBuf};

use super::{CPU_PERIOD, CgroupError, HostLimits, PARENT, set, set_where_known};

/// The controllers that are needed.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// The tree.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) mount: PathBuf,
}

impl Hierarchy {
    /// Makes the common parent and hands the controllers down to it.
    pub(super) fn prepare(&self) -> Result<(), CgroupError> {
        hand_down(&self.mount)?;
        let parent = self.parent();
        fs::create_dir_all(&parent).map_err(CgroupError::setup(&parent))?;
        hand_down(&parent)
    }

    pub(super) fn parent(&self) -> PathBuf {
        self.mount.join(PARENT)
    }
}

/// Makes the controllers available to the groups below `group`.
fn hand_down(group: &Path) -> Result<(), CgroupError> {
    let words = |name: &str| {
        let path = group.join(name);
        fs::read_to_string(&path).map_err(CgroupError::setup(&path))
    };
    let available = words("cgroup.controllers")?;
    let handed_down = words("cgroup.subtree_control")?;
    for controller in CONTROLLERS {
        let has = |text: &str| text.split_whitespace().any(|word| word == controller);
        if !has(&available) {
            return Err(CgroupError::NoController(controller));
        }
        if !has(&handed_down) {
            set(group, "cgroup.subtree_control", &format!("+{controller}"))?;
        }
    }
    Ok(())
}

/// Sets one sandbox's limits.
pub(super) fn limit(group: &Path, limits: &HostLimits) -> Result<(), CgroupError> {
    set(group, "memory.max", &limits.memory.to_string())?;
    set_where_known(group, "memory.swap.max", "0")?;
    // A sandbox that lost one of its processes is of no use: all or none.
    set_where_known(group, "memory.oom.group", "1")?;
    set(group, "pids.max", &limits.tasks.to_string())?;
    set(group, "cpu.max", &format!("{} {CPU_PERIOD}", limits.cpu_quota))
}

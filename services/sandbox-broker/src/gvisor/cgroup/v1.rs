//! Version 1: one tree per controller. Ours lie below our own group, so that limits on us hold for them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{CPU_PERIOD, CgroupError, HostLimits, PARENT, set, set_where_known};

/// Our own group in each tree.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) memory: PathBuf,
    pub(super) pids: PathBuf,
    pub(super) cpu: PathBuf,
}

impl Hierarchy {
    pub(super) fn prepare(&self) -> Result<(), CgroupError> {
        for parent in self.parents() {
            fs::create_dir_all(&parent).map_err(CgroupError::setup(&parent))?;
        }
        Ok(())
    }

    /// In the order that [`limit`] takes.
    pub(super) fn parents(&self) -> [PathBuf; 3] {
        [&self.memory, &self.pids, &self.cpu].map(|own| own.join(PARENT))
    }
}

/// Sets one sandbox's limits.
pub(super) fn limit([memory, pids, cpu]: [&Path; 3], limits: &HostLimits) -> Result<(), CgroupError> {
    let bytes = limits.memory.to_string();
    set(memory, "memory.limit_in_bytes", &bytes)?;
    // Memory and swap together: without it the limit only moves the excess to swap.
    set_where_known(memory, "memory.memsw.limit_in_bytes", &bytes)?;
    set(pids, "pids.max", &limits.tasks.to_string())?;
    set(cpu, "cpu.cfs_period_us", &CPU_PERIOD.to_string())?;
    set(cpu, "cpu.cfs_quota_us", &limits.cpu_quota.to_string())
}

//! Which version of control groups this host has, and where.

use std::path::{Path, PathBuf};

use super::{CgroupError, HostLimits, Paths, v1, v2};

/// What of `/proc/self/mountinfo` and `/proc/self/cgroup` matters here.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    /// Controllers of version 1: name, and our own group in it as a directory.
    pub(super) v1: Vec<(String, PathBuf)>,
    /// Where version 2 is mounted.
    pub(super) v2: Option<PathBuf>,
}

impl Mounts {
    /// From the texts of the two files (proc(5), cgroups(7)).
    pub(super) fn parse(mountinfo: &str, own: &str) -> Self {
        let mut mounts = Self::default();
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else {
                continue;
            };
            let mut left = left.split(' ').skip(3);
            let (Some(root), Some(point)) = (left.next(), left.next()) else {
                continue;
            };
            let mut right = right.split(' ');
            let (kind, options) = (right.next(), right.nth(1).unwrap_or_default());
            match kind {
                Some("cgroup2") => mounts.v2 = Some(PathBuf::from(point)),
                Some("cgroup") => {
                    for controller in options.split(',') {
                        let group = own_group(own, controller).unwrap_or("/");
                        let below = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
                        mounts
                            .v1
                            .push((controller.to_owned(), Path::new(point).join(below)));
                    }
                }
                _ => {}
            }
        }
        mounts
    }

    fn v1(&self, controller: &'static str) -> Result<PathBuf, CgroupError> {
        self.v1
            .iter()
            .find(|(name, _)| name == controller)
            .map(|(_, path)| path.clone())
            .ok_or(CgroupError::NoController(controller))
    }
}

/// Our own group for a controller of version 1, from lines like `4:memory:/a/b`.
fn own_group<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?);
        controllers
            .split(',')
            .any(|name| name == controller)
            .then_some(group)
    })
}

/// Where groups are made.
#[derive(Debug)]
pub(super) enum Hierarchy {
    V1(v1::Hierarchy),
    V2(v2::Hierarchy),
}

impl Hierarchy {
    /// Version 1 where it holds the memory controller, for then version 2 cannot; else version 2.
    pub(super) fn choose(mounts: &Mounts) -> Result<Self, CgroupError> {
        if mounts.v1("memory").is_ok() {
            return Ok(Self::V1(v1::Hierarchy {
                memory: mounts.v1("memory")?,
                pids: mounts.v1("pids")?,
                cpu: mounts.v1("cpu")?,
            }));
        }
        let mount = mounts.v2.clone().ok_or(CgroupError::NoController("memory"))?;
        Ok(Self::V2(v2::Hierarchy { mount }))
    }

    /// Makes the common parents, once.
    pub(super) fn prepare(&self) -> Result<(), CgroupError> {
        match self {
            Self::V1(hierarchy) => hierarchy.prepare(),
            Self::V2(hierarchy) => hierarchy.prepare(),
        }
    }

    /// The directories below which each sandbox gets one.
    pub(super) fn parents(&self) -> impl Iterator<Item = PathBuf> {
        match self {
            Self::V1(hierarchy) => hierarchy.parents().to_vec(),
            Self::V2(hierarchy) => vec![hierarchy.parent()],
        }
        .into_iter()
    }

    /// Writes the limits of one sandbox into its groups.
    pub(super) fn limit(&self, paths: &Paths, limits: &HostLimits) -> Result<(), CgroupError> {
        match (self, paths.0.as_slice()) {
            (Self::V1(_), [memory, pids, cpu]) => v1::limit([memory, pids, cpu], limits),
            (Self::V2(_), [group]) => v2::limit(group, limits),
            _ => Err(CgroupError::NoController("memory")),
        }
    }
}

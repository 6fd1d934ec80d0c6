//! The root that every sandbox sees: the host's programs, read-only, around a generated minimal `/etc`.
//! It is the same for all sandboxes and never changes while the broker runs.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::SANDBOX_USER;
use crate::guest;

/// The guest's path in the root.
pub(super) const GUEST: &str = "/harombe-guest";

/// The directory in the root with what Python runs before a program.
pub(super) const PYTHON_STARTUP: &str = "/harombe-python";

/// Python imports `sitecustomize` once its search path is complete (documentation of the module `site`).
const SITECUSTOMIZE: &str = "import sys\n\nsys.path.append(\"/workspace\")\n";

/// The host's directories with its programs. On most systems all but `/usr` are symlinks into it.
const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"];

/// Where the others are mounted.
const MOUNT_POINTS: &[&str] = &[
    "proc",
    "sys",
    "dev",
    "tmp",
    "run",
    "run/harombe",
    "workspace",
    "etc",
];

/// The prepared root.
#[derive(Debug)]
pub(super) struct HostRoot {
    path: PathBuf,
    visible: Vec<PathBuf>,
}

impl HostRoot {
    /// Makes it anew at `path`, replacing what an earlier broker made there.
    pub(super) fn build(path: &Path) -> io::Result<Self> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        open_directory(path)?;
        for name in MOUNT_POINTS {
            open_directory(&path.join(name))?;
        }
        let mut visible = Vec::new();
        for directory in PROGRAMS.iter().map(Path::new) {
            let Ok(metadata) = fs::symlink_metadata(directory) else {
                continue;
            };
            let inside = path.join(directory.strip_prefix("/").unwrap_or(directory));
            if metadata.is_symlink() {
                symlink(fs::read_link(directory)?, inside)?;
            } else {
                open_directory(&inside)?;
                visible.push(directory.to_owned());
            }
        }
        etc(&path.join("etc"))?;
        let python = path.join(PYTHON_STARTUP.trim_start_matches('/'));
        open_directory(&python)?;
        open_file(&python.join("sitecustomize.py"), SITECUSTOMIZE)?;
        guest::install(&path.join(GUEST.trim_start_matches('/')))?;
        Ok(Self {
            path: path.to_owned(),
            visible,
        })
    }

    /// Where it lies on the host.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The host's directories that are mounted into it under their own names.
    pub(super) fn visible(&self) -> &[PathBuf] {
        &self.visible
    }
}

/// A directory, made if it is absent, that only the broker's user can enter. What it lies in must be there.
pub(super) fn private_directory(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// A new directory that sandboxes can enter, whatever the broker's umask is: they have another user.
fn open_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// A file that sandboxes can read, whatever the broker's umask is.
fn open_file(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

fn etc(etc: &Path) -> io::Result<()> {
    let user = SANDBOX_USER;
    for (name, text) in [
        (
            "passwd",
            format!("root:x:0:0:root:/:/bin/sh\nsandbox:x:{user}:{user}:sandbox:/tmp:/bin/sh\n"),
        ),
        ("group", format!("root:x:0:\nsandbox:x:{user}:\n")),
        ("hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n".to_owned()),
        ("hostname", "sandbox\n".to_owned()),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files\n".to_owned(),
        ),
    ] {
        open_file(&etc.join(name), &text)?;
    }
    alternatives(Path::new("/etc/alternatives"), &etc.join("alternatives"))
}

/// Debian's commands such as `awk` lead through symlinks in `/etc/alternatives`. Those that lead on to the
/// programs are made again; nothing of the host's is copied but their targets.
fn alternatives(host: &Path, inside: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(host) else {
        return Ok(());
    };
    open_directory(inside)?;
    for entry in entries {
        let entry = entry?;
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let a_program = PROGRAMS.iter().any(|directory| target.starts_with(directory))
            && !target
                .components()
                .any(|part| part == std::path::Component::ParentDir);
        if a_program {
            symlink(target, inside.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_nothing_of_the_hosts_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root");
        HostRoot::build(&path).unwrap();
        let root = HostRoot::build(&path).unwrap();
        let passwd = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
        assert_eq!(passwd.lines().count(), 2);
        for absent in ["etc/shadow", "etc/ssh", "etc/resolv.conf", "root", "home", "var"] {
            assert!(!root.path().join(absent).exists(), "{absent}");
        }
        assert!(root.visible().contains(&PathBuf::from("/usr")));
    }

    #[test]
    fn alternatives_lead_to_programs_only() {
        let directory = tempfile::tempdir().unwrap();
        let (host, inside) = (directory.path().join("host"), directory.path().join("inside"));
        fs::create_dir(&host).unwrap();
        symlink("/usr/bin/mawk", host.join("awk")).unwrap();
        symlink("/home/ann/.profile", host.join("planted")).unwrap();
        symlink("/usr/../etc/shadow", host.join("crooked")).unwrap();
        fs::write(host.join("README"), "text").unwrap();
        alternatives(&host, &inside).unwrap();
        let names: Vec<_> = fs::read_dir(&inside)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["awk"]);
    }
}

//! Finding a runsc that is fit for use: one that knows the `systrap` platform, wherever it lies.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the setup script puts it: beside the system's own, which may be too old.
const INSTALLED: &str = "/usr/local/lib/harombe/bin/runsc";

/// A runsc that knows `systrap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runsc {
    path: PathBuf,
}

/// There is no runsc to use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoRunsc {
    /// The one that the configuration names is missing or unfit.
    #[error(
        "{0} is not a runsc that knows the platform systrap; install one with deploy/setup/runsc.sh or correct the path"
    )]
    Configured(PathBuf),
    /// None was found; these were looked at and are unfit.
    #[error(
        "no runsc that knows the platform systrap was found{}; install one with deploy/setup/runsc.sh",
        unfit(.0)
    )]
    Missing(Vec<PathBuf>),
}

fn unfit(found: &[PathBuf]) -> String {
    let names: Vec<String> = found.iter().map(|path| path.display().to_string()).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" ({} does not)", names.join(", "))
    }
}

impl Runsc {
    /// The configured one if there is one, else the installed one, else the first fit one of `search`, the
    /// value of `PATH`. Blocks for the time of running each candidate once.
    ///
    /// # Errors
    /// Says what was found instead. A configured path is never replaced by another.
    pub fn find(configured: Option<&Path>, search: Option<&OsStr>) -> Result<Self, NoRunsc> {
        if let Some(path) = configured {
            return Self::fit(path).ok_or_else(|| NoRunsc::Configured(path.to_owned()));
        }
        let on_path = search
            .into_iter()
            .flat_map(std::env::split_paths)
            .map(|d| d.join("runsc"));
        let mut unfit = Vec::new();
        for candidate in std::iter::once(PathBuf::from(INSTALLED)).chain(on_path) {
            match Self::fit(&candidate) {
                Some(runsc) => return Ok(runsc),
                None if candidate.is_file() => unfit.push(candidate),
                None => {}
            }
        }
        Err(NoRunsc::Missing(unfit))
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn fit(path: &Path) -> Option<Self> {
        let path = path.canonicalize().ok().filter(|path| path.is_file())?;
        // Builds differ in which stream the flags are described on.
        let answer = Command::new(&path)
            .arg("flags")
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let mentions = |text: &[u8]| text.windows(7).any(|window| window == b"systrap");
        (mentions(&answer.stdout) || mentions(&answer.stderr)).then_some(Self { path })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(directory: &Path, platforms: &str) -> PathBuf {
        let path = directory.join("runsc");
        fs::write(&path, format!("#!/bin/sh\necho 'platform: {platforms}' >&2\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_configured_runsc_without_systrap_counts_as_missing() {
        let directory = tempfile::tempdir().unwrap();
        let old = program(directory.path(), "ptrace (default), kvm");
        assert_eq!(Runsc::find(Some(&old), None), Err(NoRunsc::Configured(old)));
        let absent = directory.path().join("absent");
        assert_eq!(Runsc::find(Some(&absent), None), Err(NoRunsc::Configured(absent)));
    }

    #[test]
    fn an_old_runsc_earlier_on_the_path_is_passed_over() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        program(old.path(), "ptrace, kvm");
        let fit = program(new.path(), "systrap (default), ptrace, kvm");
        let search = std::env::join_paths([old.path(), new.path()]).unwrap();
        let found = Runsc::find(None, Some(&search)).unwrap();
        assert!([fit.as_path(), Path::new(INSTALLED)].contains(&found.path()));
    }

    #[test]
    fn the_message_names_the_unfit_ones_and_the_remedy() {
        let message = NoRunsc::Missing(vec!["/usr/bin/runsc".into()]).to_string();
        assert!(message.contains("(/usr/bin/runsc does not)"), "{message}");
        assert!(message.contains("deploy/setup/runsc.sh"), "{message}");
    }
}

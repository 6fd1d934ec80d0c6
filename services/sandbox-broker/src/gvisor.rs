//! The driver `gvisor`: `runsc` on an OCI bundle, without a daemon, over the host's own programs.
//!
//! A sandbox is `runsc run` in a control group of its own, with a state directory of its own: when
//! everything in the group is dead the sandbox is gone, whatever state runsc was in, and the directory can
//! be removed. So nothing depends on runsc cleaning up, and what a killed broker leaves behind is found
//! again by [`sweep`] at the next start.

mod bundle;
mod cgroup;
mod discover;
mod filter;
mod launch;
mod root;
mod sandbox;
mod status;
mod sweep;
mod undertaker;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use harombe_guest::protocol::{Request, Run};
use uuid::Uuid;

use crate::domain::driver::{Driver, DriverError, Sandbox, SandboxSpec};
use crate::domain::language::Interpreters;
use crate::domain::limits::Limits;
use crate::domain::proof::Proof;
use crate::workspace::Workspaces;

pub use cgroup::CgroupError;
pub use discover::{NoRunsc, Runsc};

use bundle::Bundle;
use cgroup::Cgroups;
use launch::Launcher;
use root::HostRoot;
use sandbox::{Birth, GvisorSandbox};
use undertaker::Undertaker;

/// The user and group of programs in sandboxes, on the host too: nobody's by convention.
pub const SANDBOX_USER: u32 = 65532;

/// Most open files of one program.
const OPEN_FILES: u64 = 4096;

/// Why there is no driver.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// runsc is missing or unfit.
    #[error(transparent)]
    Runsc(#[from] NoRunsc),
    /// Limits could not be enforced.
    #[error(transparent)]
    Cgroups(#[from] CgroupError),
    /// Only root can set up sandboxes that are confined from root.
    #[error("sandboxes need root: run the broker as root")]
    NotRoot,
    /// The state directory cannot be used.
    #[error("{what} in {path}")]
    State {
        /// What was being done.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Creates gVisor sandboxes. Dropping it kills those that still run.
#[derive(Debug)]
pub struct Gvisor {
    sandboxes: PathBuf,
    root: HostRoot,
    interpreters: Interpreters,
    cgroups: Cgroups,
    launcher: Launcher,
    undertaker: Arc<Undertaker>,
}

impl Gvisor {
    /// A driver with its state in `state`, which belongs to it alone. Whatever a driver before it left
    /// running there is killed first. Blocks; must be called within a tokio runtime.
    ///
    /// # Errors
    /// When sandboxes could not be limited and isolated as demanded.
    pub fn open(state: &Path, runsc: Runsc) -> Result<Self, Unusable> {
        if !rustix::process::geteuid().is_root() {
            return Err(Unusable::NotRoot);
        }
        let failed = |what: &'static str| {
            move |source: io::Error| Unusable::State {
                what,
                path: state.to_owned(),
                source,
            }
        };
        let sandboxes = state.join("sandboxes");
        root::private_directory(state).map_err(failed("could not make the directory"))?;
        root::private_directory(&sandboxes).map_err(failed("could not make the directory"))?;
        sweep::sweep(&sandboxes).map_err(failed("could not sweep up what an earlier broker left"))?;
        let root = HostRoot::build(&state.join("root")).map_err(failed("could not make the sandbox root"))?;
        let launcher = Launcher::start(runsc).map_err(failed("could not start the launcher"))?;
        let undertaker = Undertaker::start().map_err(failed("could not start the undertaker"))?;
        Ok(Self {
            sandboxes,
            interpreters: Interpreters::detect(root.visible()),
            root,
            cgroups: Cgroups::detect()?,
            launcher,
            undertaker: Arc::new(undertaker),
        })
    }

    async fn create(
        &self,
        workspace: &Path,
        limits: &Limits,
        request: &Request,
    ) -> Result<Birth, DriverError> {
        let id = Uuid::now_v7().as_hyphenated().to_string();
        let bundle = Bundle {
            id: &id,
            directory: self.sandboxes.join(&id),
            root: &self.root,
            workspace,
            limits,
            user: SANDBOX_USER,
        };
        GvisorSandbox::create(&bundle, &self.cgroups, &self.launcher, &self.undertaker, request).await
    }

    fn run_request(&self, spec: &SandboxSpec) -> Result<Request, DriverError> {
        let interpreter = self
            .interpreters
            .path(spec.language)
            .ok_or(DriverError::NoInterpreter(spec.language))?;
        let program_path = spec.language.program_path().to_owned();
        Ok(Request::Run(Run {
            argv: vec![interpreter.to_string_lossy().into_owned(), program_path.clone()],
            env: bundle::environment(&spec.env),
            program_path,
            program: spec.program.clone(),
            processes: spec.limits.processes.into(),
            open_files: OPEN_FILES,
            file_size: spec.limits.workspace,
        }))
    }
}

#[async_trait]
impl Driver for Gvisor {
    fn interpreters(&self) -> &Interpreters {
        &self.interpreters
    }

    async fn start(&self, spec: &SandboxSpec) -> Result<Box<dyn Sandbox>, DriverError> {
        let request = self.run_request(spec)?;
        let birth = self.create(&spec.workspace, &spec.limits, &request).await?;
        Ok(Box::new(birth.running().await?))
    }

    async fn prove(&self) -> Result<Proof, DriverError> {
        let failed = DriverError::host("could not make a workspace for the probe");
        let id = Uuid::now_v7();
        let workspaces = Workspaces::open(&self.sandboxes.with_file_name("probes"), SANDBOX_USER);
        let workspaces = workspaces.map_err(failed)?;
        let failed = DriverError::host("could not make a workspace for the probe");
        let workspace = workspaces.create(id).map_err(failed)?;
        let proof = match self
            .create(workspace.path(), &Limits::DEFAULT, &Request::Probe)
            .await
        {
            Ok(birth) => birth.facts().await.map(|facts| Proof::from_facts(&facts)),
            Err(error) => Err(error),
        };
        workspaces
            .remove(id)
            .map_err(DriverError::host("could not remove the probe's workspace"))?;
        proof
    }
}

#[cfg(test)]
mod tests;

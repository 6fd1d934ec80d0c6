//! The port to whatever creates sandboxes. gVisor is the one implementation; the domain knows none.

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;

use super::language::{Interpreters, Language};
use super::limits::Limits;
use super::proof::Proof;

/// One sandbox to create and the program to run in it.
#[derive(Debug, Clone)]
pub struct SandboxSpec {
    /// What the program is written in.
    pub language: Language,
    /// Its text.
    pub program: Vec<u8>,
    /// Variables in addition to the standard ones, which they may replace.
    pub env: Vec<(String, String)>,
    /// The host's directory that is `/workspace` inside, writable by the sandbox's user.
    pub workspace: PathBuf,
    /// What it may use. Time and output are the domain's to watch, the rest is the driver's.
    pub limits: Limits,
}

/// Which of its two streams a program wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Something a program wrote. Chunks cut anywhere, also inside a character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where to.
    pub stream: Stream,
    /// What, never empty.
    pub bytes: Bytes,
}

/// How a program that was left alone ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Exited(i32),
    /// Killed by this signal.
    Signaled(i32),
    /// The sandbox used more memory than it may and was killed for it.
    OutOfMemory,
}

/// Why a driver could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// No interpreter for the language on this host.
    #[error("this host has no interpreter for {0}")]
    NoInterpreter(Language),
    /// The sandbox did not come to life.
    #[error("the sandbox could not be started: {0}")]
    Start(String),
    /// The sandbox ended without saying how its program did.
    #[error("the sandbox broke down: {0}")]
    Broken(String),
    /// Something on the host went wrong.
    #[error("{what}")]
    Host {
        /// What was being done.
        what: &'static str,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}

impl DriverError {
    /// For `map_err`: the error of doing `what`.
    pub(crate) fn host<E: Into<std::io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Host {
            what,
            source: source.into(),
        }
    }
}

/// Creates sandboxes.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// The languages it can run.
    fn interpreters(&self) -> &Interpreters;

    /// Creates a sandbox of its own for the program and starts it.
    async fn start(&self, spec: &SandboxSpec) -> Result<Box<dyn Sandbox>, DriverError>;

    /// Creates a sandbox only to observe, from inside, what it isolates from.
    async fn prove(&self) -> Result<Proof, DriverError>;
}

/// A sandbox whose program runs. Dropping it kills everything in it, in the background.
#[async_trait]
pub trait Sandbox: Send {
    /// The next output, live; `None` once both streams are closed. Safe to cancel.
    async fn next(&mut self) -> Option<Chunk>;

    /// Waits for the end of the program. Safe to cancel.
    async fn finish(&mut self) -> Result<End, DriverError>;

    /// Kills everything in it; nothing of it runs any more when this returns.
    async fn kill(&mut self) -> Result<(), DriverError>;
}

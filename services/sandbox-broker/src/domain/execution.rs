//! One execution from start to end: output passed on as it comes, and everything stopped at its limits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::driver::{Chunk, Driver, DriverError, End, Sandbox, SandboxSpec};

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit code.
    Exited(i32),
    /// By itself, killed by this signal.
    Signaled(i32),
    /// Stopped: it used more memory than it may.
    MemoryLimit,
    /// Stopped: it ran longer than it may.
    TimeLimit,
    /// Stopped: it wrote more output than it may. What it may was passed on.
    OutputLimit,
    /// Stopped: its workspace grew beyond what it may.
    WorkspaceLimit,
    /// Stopped: nobody wanted its output any more.
    Abandoned,
}

/// What is known of an execution after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// Bytes of output that were passed on.
    pub output_bytes: u64,
    /// From the request to create the sandbox until its program ran.
    pub start: Duration,
    /// From the request to create the sandbox to the end.
    pub duration: Duration,
}

/// Tells whether a workspace holds more than it may. Called off the async threads.
pub type OverQuota = Arc<dyn Fn() -> bool + Send + Sync>;

/// How often a running program's workspace is measured: at the speed of a fast disk this is what it can
/// write beyond its limit, in seconds.
const MEASURE_EVERY: Duration = Duration::from_millis(500);

/// Runs a program to its end or to one of its limits. Dropping the future kills the sandbox.
///
/// # Errors
/// When the sandbox cannot be created, or breaks down.
pub async fn execute(
    driver: &dyn Driver,
    spec: &SandboxSpec,
    over_quota: OverQuota,
    output: &mpsc::Sender<Chunk>,
) -> Result<Finished, DriverError> {
    let begun = Instant::now();
    let mut sandbox = driver.start(spec).await?;
    let start = begun.elapsed();
    let mut passed_on = 0;
    let limits = &spec.limits;
    let ending = tokio::select! {
        // A limit that is reached counts even when there is still output to pass on.
        biased;
        () = tokio::time::sleep(limits.time()) => Ending::TimeLimit,
        () = grown(over_quota) => Ending::WorkspaceLimit,
        () = output.closed() => Ending::Abandoned,
        ended = pass_on(sandbox.as_mut(), limits.output, &mut passed_on, output) => ended?,
    };
    if ending.is_a_stop() {
        sandbox.kill().await?;
    }
    Ok(Finished {
        ending,
        output_bytes: passed_on,
        start,
        duration: begun.elapsed(),
    })
}

impl Ending {
    /// Whether the program ended by itself, so that it has written what it wanted to.
    #[must_use]
    pub const fn is_its_own(self) -> bool {
        matches!(self, Self::Exited(_) | Self::Signaled(_))
    }

    /// Whether the program was stopped by us, and so still runs until it is killed.
    const fn is_a_stop(self) -> bool {
        match self {
            Self::Exited(_) | Self::Signaled(_) | Self::MemoryLimit => false,
            Self::TimeLimit | Self::OutputLimit | Self::WorkspaceLimit | Self::Abandoned => true,
        }
    }
}

/// Passes output on, up to `limit` bytes, until the program ends.
async fn pass_on(
    sandbox: &mut dyn Sandbox,
    limit: u64,
    passed_on: &mut u64,
    output: &mpsc::Sender<Chunk>,
) -> Result<Ending, DriverError> {
    while let Some(mut chunk) = sandbox.next().await {
        let room = usize::try_from(limit - *passed_on).unwrap_or(usize::MAX);
        let too_much = chunk.bytes.len() > room;
        chunk.bytes.truncate(room);
        if !chunk.bytes.is_empty() {
            *passed_on += chunk.bytes.len() as u64;
            if output.send(chunk).await.is_err() {
                return Ok(Ending::Abandoned);
            }
        }
        if too_much {
            return Ok(Ending::OutputLimit);
        }
    }
    Ok(match sandbox.finish().await? {
        End::Exited(code) => Ending::Exited(code),
        End::Signaled(signal) => Ending::Signaled(signal),
        End::OutOfMemory => Ending::MemoryLimit,
    })
}

/// Returns once the workspace holds more than it may.
async fn grown(over_quota: OverQuota) {
    let mut ticks = tokio::time::interval_at(Instant::now() + MEASURE_EVERY, MEASURE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let measure = Arc::clone(&over_quota);
        // A measurement that panicked has shown nothing good: it counts as too much.
        if tokio::task::spawn_blocking(move || measure())
            .await
            .unwrap_or(true)
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests;

//! SIGTERM and SIGINT: the first asks a server to end in order, the second ends it at once.

use std::io;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::{INTERRUPTED, TERMINATED};

/// Both signals, from the moment this is made: what comes while a server starts ends it in order once it has.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next; answers what a shell would report of a process that it ended.
    pub(super) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.terminate.recv() => TERMINATED,
            _ = self.interrupt.recv() => INTERRUPTED,
        }
    }

    /// Lets `ending` finish, unless another signal comes.
    pub(super) async fn finish(mut self, ending: impl Future<Output = ()>) -> ExitCode {
        tokio::select! {
            () = ending => ExitCode::SUCCESS,
            code = self.next() => ExitCode::from(code),
        }
    }
}

//! Process 1 of a sandbox: puts the last limits and the seccomp filter on, runs one program as a child,
//! reaps what the program leaves behind, and tells the broker how it ended.
//!
//! It is static, so that it needs nothing from the root it runs in, and it dies when the broker does: the
//! request stream on its standard input stays open for as long as somebody wants the result.

mod filter;
mod probe;
mod run;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::ExitCode;

use harombe_guest::STATUS_FD;
use harombe_guest::protocol::{Reply, Request};
use rustix::io::FdFlags;
use rustix::process::DumpableBehavior;

fn main() -> ExitCode {
    let mut status = status_pipe();
    let reply = match serve(&mut status) {
        Ok(reply) => reply,
        Err(why) => Reply::Failed(why),
    };
    // Nobody is left to tell when this fails; the broker sees a stream without an end.
    match status.write_all(&reply.encode()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[expect(
    unsafe_code,
    reason = "a descriptor inherited by number can be adopted in no other way"
)]
fn status_pipe() -> File {
    // SAFETY: runsc hands the status pipe over under this number and nothing else in this program, which
    // is in its first statement, owns it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(STATUS_FD) };
    File::from(descriptor)
}

/// Reads the request, secures this process, and carries the request out.
fn serve(status: &mut File) -> Result<Reply, String> {
    let described = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    rustix::io::fcntl_setfd(&*status, FdFlags::CLOEXEC).map_err(|e| described("status pipe")(e.into()))?;
    // The program runs under this process's user: without this it could read this process through /proc.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| described("dumpable")(e.into()))?;
    let request = Request::read(&mut io::stdin().lock()).map_err(|error| format!("request: {error}"))?;
    if let Request::Run(run) = &request {
        run::write_program(run).map_err(described("program"))?;
        run::limit(run).map_err(described("limits"))?;
    }
    for program in filter::programs().map_err(|error| format!("seccomp: {error}"))? {
        seccompiler::apply_filter(&program).map_err(|error| format!("seccomp: {error}"))?;
    }
    die_with_the_broker().map_err(described("watch"))?;
    match request {
        Request::Run(run) => run::run(&run, status).map_err(described("start")),
        Request::Probe => Ok(Reply::Facts(probe::facts())),
    }
}

/// Ends this process, and with it every process in the sandbox, once the request stream is closed.
fn die_with_the_broker() -> io::Result<()> {
    std::thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let mut byte = [0];
        // Nothing follows the request, so the first return of `read`, of whatever kind, is the end.
        let _ = io::stdin().lock().read(&mut byte);
        end();
    })?;
    Ok(())
}

#[expect(
    clippy::exit,
    reason = "the end of process 1 is what ends the sandbox, whatever other threads do"
)]
fn end() -> ! {
    std::process::exit(1)
}

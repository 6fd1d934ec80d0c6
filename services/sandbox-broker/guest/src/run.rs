//! Running one program: its text, its limits, its life as a child of process 1.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use harombe_guest::protocol::{Reply, Run};
use rustix::process::{Pid, Resource, Rlimit, WaitOptions, WaitStatus};

/// Threads of this process count against the limit the program gets: the main one and the watcher.
const OWN_THREADS: u64 = 2;

/// Writes the program's text where the interpreter will look for it.
pub(crate) fn write_program(run: &Run) -> io::Result<()> {
    if let Some(parent) = Path::new(&run.program_path).parent() {
        fs::create_dir_all(parent)?;
    }
    File::create_new(&run.program_path)?.write_all(&run.program)
}

/// Sets the limits that this process and everything below it live under.
pub(crate) fn limit(run: &Run) -> io::Result<()> {
    let limits = [
        (Resource::Core, 0),
        (Resource::Nproc, run.processes.saturating_add(OWN_THREADS)),
        (Resource::Nofile, run.open_files),
        (Resource::Fsize, run.file_size),
    ];
    for (resource, value) in limits {
        let value = Some(value);
        rustix::process::setrlimit(
            resource,
            Rlimit {
                current: value,
                maximum: value,
            },
        )?;
    }
    Ok(())
}

/// Starts the program, reports that it runs, and waits for its end.
pub(crate) fn run(run: &Run, status: &mut File) -> io::Result<Reply> {
    let (interpreter, arguments) = run
        .argv
        .split_first()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    // Reported before, not after, so that no output of the program can come ahead of it.
    status.write_all(&Reply::Started.encode())?;
    let child = Command::new(interpreter)
        .args(arguments)
        .env_clear()
        .envs(run.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .spawn()?;
    let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    reap_until(child)
}

/// Reaps every process that ends below process 1 until the program itself does. What it leaves running
/// ends with process 1.
fn reap_until(child: Option<Pid>) -> io::Result<Reply> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if Some(pid) == child => return Ok(reply(status)),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn reply(status: WaitStatus) -> Reply {
    let status = ExitStatus::from_raw(status.as_raw());
    match (status.code(), status.signal()) {
        (Some(code), _) => Reply::Exited(code),
        (None, Some(signal)) => Reply::Signaled(signal),
        (None, None) => Reply::Failed("ended without a status".to_owned()),
    }
}

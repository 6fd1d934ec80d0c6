//! Starting runsc, from one thread that lives as long as the driver.
//!
//! A process can ask to be killed when its parent ends, but the kernel takes the *thread* that forked it for
//! the parent. Worker threads come and go; this one ends when the broker does, however it ends.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::JoinHandle;

use harombe_guest::STATUS_FD;
use rustix::io::FdFlags;
use rustix::process::Signal;
use seccompiler::BpfProgram;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::{Runsc, filter};

/// The thread.
#[derive(Debug)]
pub(super) struct Launcher {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// One runsc to start.
#[derive(Debug)]
pub(super) struct Launch {
    /// The container's name.
    pub(super) id: String,
    /// The bundle.
    pub(super) bundle: PathBuf,
    /// Where runsc keeps its state.
    pub(super) state: PathBuf,
    /// The control groups to enter first.
    pub(super) entrances: Vec<File>,
    /// The guest's standard input.
    pub(super) request: OwnedFd,
    /// What the guest writes its replies to.
    pub(super) status: OwnedFd,
}

#[derive(Debug)]
struct Job {
    launch: Launch,
    done: oneshot::Sender<io::Result<Child>>,
}

impl Launcher {
    /// Starts the thread. Must be called within a tokio runtime.
    pub(super) fn start(runsc: Runsc) -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let filter = filter::program().map_err(io::Error::other)?;
        let (jobs, mut queue) = mpsc::channel::<Job>(64);
        let thread = std::thread::Builder::new()
            .name("runsc-launcher".to_owned())
            .spawn(move || {
                while let Some(job) = queue.blocking_recv() {
                    let child = {
                        let _inside = runtime.enter();
                        spawn(&runsc, &filter, job.launch)
                    };
                    // Whoever asked may have given up; dropping the child kills it.
                    let _ = job.done.send(child);
                }
            })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Starts one runsc.
    pub(super) async fn launch(&self, launch: Launch) -> io::Result<Child> {
        let ended = || io::Error::other("the launcher has ended");
        let (done, child) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(Job { launch, done }).await.map_err(|_| ended())?;
        child.await.map_err(|_| ended())?
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did there would be nothing left to do about it here.
            let _ = thread.join();
        }
    }
}

fn spawn(runsc: &Runsc, filter: &BpfProgram, launch: Launch) -> io::Result<Child> {
    let status = launch.status.as_raw_fd();
    let mut command = Command::new(runsc.path());
    command
        .arg("--root")
        .arg(&launch.state)
        .arg("--log")
        .arg(launch.state.join("runsc.log"))
        .args([
            "--platform=systrap",
            "--network=none",
            // The broker's groups hold runsc too; groups of its own would be removed with what they know.
            "--ignore-cgroups",
            // The root is read-only, so there is nothing to overlay.
            "--overlay2=none",
            // The broker and other sandboxes of the session change the workspace too.
            "--file-access-mounts=shared",
            "run",
            "--bundle",
        ])
        .arg(&launch.bundle)
        .arg(format!("--pass-fd={status}:{STATUS_FD}"))
        .arg(&launch.id)
        .env_clear()
        .current_dir(&launch.bundle)
        .stdin(launch.request)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at the broker's terminal is for the broker.
        .process_group(0)
        .kill_on_drop(true);
    before_exec(&mut command, filter.clone(), launch.entrances, launch.status);
    command.spawn()
}

#[expect(
    unsafe_code,
    reason = "entering a control group before the program starts has no other way"
)]
fn before_exec(command: &mut Command, filter: BpfProgram, mut entrances: Vec<File>, status: OwnedFd) {
    let prepare = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        for entrance in &mut entrances {
            entrance.write_all(b"0")?;
        }
        keep_open(&status)?;
        // The error is not passed on as it is: making one from it would allocate.
        seccompiler::apply_filter(&filter).map_err(|_| io::Error::last_os_error())
    };
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed. It
    // makes the system calls prctl, write, fcntl and seccomp, and neither allocates nor takes a lock: all
    // it needs was made before, and its errors are bare error numbers.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Lets a descriptor live on after exec.
fn keep_open(descriptor: &OwnedFd) -> io::Result<()> {
    let descriptor: BorrowedFd<'_> = std::os::fd::AsFd::as_fd(descriptor);
    rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
    Ok(())
}

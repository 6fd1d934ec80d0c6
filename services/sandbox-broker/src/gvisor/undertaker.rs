//! Taking away what is left of a sandbox, off the async threads: killing what still runs in it can take a
//! moment and removing its files blocks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::cgroup::Paths;

/// The name of the file, in a sandbox's directory, that lists its control groups.
pub(super) const GROUPS: &str = "cgroups";

/// What is left of a sandbox.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) directory: PathBuf,
    pub(super) groups: Paths,
}

impl Remains {
    /// Kills what runs and removes everything. Blocks.
    pub(super) fn bury(&self) -> io::Result<()> {
        self.groups.destroy()?;
        remove_directory(&self.directory)
    }
}

pub(super) fn remove_directory(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The thread that does it. Dropping it waits until everything given to it is done.
#[derive(Debug)]
pub(super) struct Undertaker {
    graves: Option<SyncSender<Grave>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Grave {
    remains: Remains,
    done: oneshot::Sender<io::Result<()>>,
}

impl Undertaker {
    pub(super) fn start() -> io::Result<Self> {
        let (graves, queue) = sync_channel::<Grave>(1024);
        let thread = std::thread::Builder::new().name("undertaker".to_owned()).spawn(move || {
            for grave in queue {
                let buried = grave.remains.bury();
                if let Err(error) = &buried {
                    let directory = grave.remains.directory.display();
                    tracing::warn!(%directory, %error, "could not remove a sandbox; the next start tries again");
                }
                // Most callers do not wait.
                let _ = grave.done.send(buried);
            }
        })?;
        Ok(Self {
            graves: Some(graves),
            thread: Some(thread),
        })
    }

    /// Has the remains taken away; the receiver hears when it is done.
    pub(super) fn bury(&self, remains: Remains) -> oneshot::Receiver<io::Result<()>> {
        let (done, buried) = oneshot::channel();
        let taken = self
            .graves
            .as_ref()
            .map(|graves| graves.try_send(Grave { remains, done }));
        if !matches!(taken, Some(Ok(()))) {
            tracing::warn!("too many sandboxes to remove; the next start removes the rest");
        }
        buried
    }
}

impl Drop for Undertaker {
    fn drop(&mut self) {
        self.graves = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did there would be nothing left to do about it here.
            let _ = thread.join();
        }
    }
}

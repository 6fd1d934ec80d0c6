//! Steps of a run across processes: every call that any service makes for it is counted, and one may be ordered to be
//! somebody's last.
//!
//! The processes share a directory. `run` says which run is counted: when it changes, every process counts from 0 again.
//! `calls-<run>` gets a line for each call. `<service>` holds the process of that service which acted last. `point` orders a
//! death; who comes to it renames it to `taken` and kills.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use harombe::compose::Wire;
use harombe_rpc::{GrpcChannel, Tap};
use harombe_types::ServiceName;
use rustix::process::{Pid, Signal};
use tonic::Status;

use crate::Side;
use crate::tap::TIMED;

/// A call of one service, counted from 1, and one side of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    pub service: ServiceName,
    pub nth: u64,
    pub side: Side,
    /// What is called.
    pub method: String,
}

/// The directory, as the test holds it.
#[derive(Clone, Debug)]
pub struct Points(PathBuf);

impl Points {
    /// Makes the directory.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self(dir.to_owned()))
    }

    /// From now on calls are those of that run.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn begin(&self, run: &str) -> io::Result<()> {
        put(&self.0, "run", run)
    }

    /// Orders the death of the `victim` that acts when that step is come to.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn arm(&self, step: &Step, victim: ServiceName) -> io::Result<()> {
        match fs::remove_file(self.0.join("taken")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        put(
            &self.0,
            "point",
            &order(step.service, step.nth, step.side, victim),
        )
    }

    /// Who died of the last order: its process; `None` when nobody came to it. No later death can come of it.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn disarm(&self) -> io::Result<Option<u32>> {
        match fs::remove_file(self.0.join("point")) {
            Ok(()) => return Ok(None),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        // Taken: whoever took it says whom it killed right after.
        let taken = fs::read_to_string(self.0.join("victim"));
        Ok(taken.ok().and_then(|text| text.parse().ok()))
    }

    /// Every side of every call of that run.
    ///
    /// # Errors
    /// Nothing was counted.
    pub fn steps(&self, run: &str) -> io::Result<Vec<Step>> {
        let text = fs::read_to_string(self.0.join(format!("calls-{run}")))?;
        let mut steps = Vec::new();
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(service), Some(nth), Some(method)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let (Ok(service), Ok(nth)) = (service.parse(), nth.parse()) else {
                continue;
            };
            for side in [Side::Before, Side::After] {
                let method = method.to_owned();
                steps.push(Step {
                    service,
                    nth,
                    side,
                    method,
                });
            }
        }
        Ok(steps)
    }
}

fn order(service: ServiceName, nth: u64, side: Side, victim: ServiceName) -> String {
    format!("{service} {nth} {side:?} {victim}")
}

/// Drafts of this process so far: two calls may write the same file at the same time.
static DRAFTS: AtomicU64 = AtomicU64::new(0);

/// Replaces a file in one step: a reader sees the old text or the new one.
fn put(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let nth = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = dir.join(format!(".{name}-{}-{nth}", std::process::id()));
    fs::write(&draft, text)?;
    fs::rename(draft, dir.join(name))
}

/// The wires of one process.
#[derive(Debug)]
pub struct Counting {
    dir: PathBuf,
    count: Mutex<(String, u64)>,
}

impl Counting {
    /// In that directory.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            count: Mutex::default(),
        }
    }

    fn count(&self, from: ServiceName, method: &str) -> io::Result<u64> {
        let Ok(run) = fs::read_to_string(self.dir.join("run")) else {
            return Ok(0);
        };
        if TIMED.iter().any(|timed| method.ends_with(timed)) {
            return Ok(0);
        }
        put(&self.dir, from.as_str(), &std::process::id().to_string())?;
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        if count.0 != run {
            *count = (run.clone(), 0);
        }
        count.1 += 1;
        let line = format!("{from} {} {method}\n", count.1);
        let mut calls = File::options()
            .append(true)
            .create(true)
            .open(self.dir.join(format!("calls-{run}")))?;
        calls.write_all(line.as_bytes())?;
        Ok(count.1)
    }

    fn pass(&self, from: ServiceName, nth: u64, side: Side) {
        let point = self.dir.join("point");
        let Ok(ordered) = fs::read_to_string(&point) else {
            return;
        };
        let Some(victim) = ordered.rsplit(' ').next().and_then(|name| name.parse().ok()) else {
            return;
        };
        if nth == 0 || ordered != order(from, nth, side, victim) {
            return;
        }
        let process = fs::read_to_string(self.dir.join(victim.as_str()));
        let Some(process) = process.ok().and_then(|text| text.parse::<i32>().ok()) else {
            return;
        };
        if put(&self.dir, "victim", &process.to_string()).is_err()
            || fs::rename(&point, self.dir.join("taken")).is_err()
        {
            return;
        }
        if let Some(process) = Pid::from_raw(process) {
            // It may be dead already.
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
    }
}

/// A process's wires, each knowing its counter.
#[derive(Clone, Debug)]
pub struct CountedWire(pub Arc<Counting>);

impl Wire for CountedWire {
    fn connect(&self, from: ServiceName, _to: ServiceName, channel: GrpcChannel) -> GrpcChannel {
        channel.tapped(Arc::new(Caller {
            from,
            counting: Arc::clone(&self.0),
        }))
    }
}

/// The calls of one service.
struct Caller {
    from: ServiceName,
    counting: Arc<Counting>,
}

impl Tap for Caller {
    fn before(&self, method: &str) -> Result<u64, Status> {
        let nth = self.counting.count(self.from, method);
        let nth = nth.map_err(|error| Status::internal(format!("a call cannot be counted: {error}")))?;
        self.counting.pass(self.from, nth, Side::Before);
        Ok(nth)
    }

    fn after(&self, nth: u64) {
        self.counting.pass(self.from, nth, Side::After);
    }
}

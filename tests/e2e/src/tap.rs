//! Deaths on the wires between services: every call of one to another passes here.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use harombe::compose::Wire;
use harombe_rpc::{GrpcChannel, Tap};
use harombe_types::ServiceName;
use rustix::process::{Pid, Signal};
use tonic::Status;

/// Which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Before it is sent.
    Before,
    /// When its answer has come, before the caller sees it.
    After,
}

/// Calls that repeat by the clock: counting them would make the count of a run depend on time.
pub(crate) const TIMED: [&str; 2] = ["RenewLeases", "ClaimExpired"];

/// With this call a run begins; calls are counted from it on.
const BEGINNING: &str = "RuntimeService/Run";

/// Notes every call of a run, and may kill its own process at one of them.
#[derive(Clone, Debug, Default)]
pub struct RunCalls(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    calls: Mutex<Vec<String>>,
    crash: Option<(u64, Side)>,
}

impl RunCalls {
    /// Kills the process with SIGKILL at that side of the nth call of the run, counted from 1.
    #[must_use]
    pub fn crashing(nth: u64, side: Side) -> Self {
        Self(Arc::new(Inner {
            calls: Mutex::default(),
            crash: Some((nth, side)),
        }))
    }

    /// The calls so far, in order, each with who made it.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.0
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The call's number, from 1; 0 for one that does not count.
    fn count(&self, from: ServiceName, method: &str) -> u64 {
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = !calls.is_empty() || method.ends_with(BEGINNING);
        if !counts || TIMED.iter().any(|timed| method.ends_with(timed)) {
            return 0;
        }
        calls.push(format!("{from} {method}"));
        calls.len() as u64
    }

    fn pass(&self, nth: u64, side: Side) {
        if self.0.crash == Some((nth, side)) {
            // Nothing may run after this: no destructor, no flush.
            let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
        }
    }
}

impl Wire for RunCalls {
    fn connect(&self, from: ServiceName, _to: ServiceName, channel: GrpcChannel) -> GrpcChannel {
        channel.tapped(Arc::new(Caller {
            from,
            calls: self.clone(),
        }))
    }
}

/// The calls of one service.
struct Caller {
    from: ServiceName,
    calls: RunCalls,
}

impl Tap for Caller {
    fn before(&self, method: &str) -> Result<u64, Status> {
        let nth = self.calls.count(self.from, method);
        self.calls.pass(nth, Side::Before);
        Ok(nth)
    }

    fn after(&self, nth: u64) {
        self.calls.pass(nth, Side::After);
    }
}

/// Kills another process at one call to audit.
#[derive(Clone, Debug)]
pub struct Killer(Arc<Deed>);

#[derive(Debug)]
struct Deed {
    nth: u64,
    side: Side,
    calls: AtomicU64,
    /// Nobody while it is 0.
    victim: AtomicI32,
}

impl Killer {
    /// At that side of the nth call, counted from 1, from when there is a victim.
    #[must_use]
    pub fn at(nth: u64, side: Side) -> Self {
        Self(Arc::new(Deed {
            nth,
            side,
            calls: AtomicU64::new(0),
            victim: AtomicI32::new(0),
        }))
    }

    /// Names the process.
    pub fn aim(&self, process: u32) {
        let process = i32::try_from(process).unwrap_or_default();
        self.0.victim.store(process, Ordering::SeqCst);
    }

    /// How many calls were counted.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }

    fn pass(&self, nth: u64, side: Side) {
        let victim = Pid::from_raw(self.0.victim.load(Ordering::SeqCst));
        if let (true, Some(victim)) = ((nth, side) == (self.0.nth, self.0.side), victim) {
            // It may be dead already.
            let _ = rustix::process::kill_process(victim, Signal::KILL);
        }
    }
}

impl Wire for Killer {
    fn connect(&self, _from: ServiceName, to: ServiceName, channel: GrpcChannel) -> GrpcChannel {
        if to == ServiceName::Audit {
            channel.tapped(Arc::new(self.clone()))
        } else {
            channel
        }
    }
}

impl Tap for Killer {
    fn before(&self, _method: &str) -> Result<u64, Status> {
        if self.0.victim.load(Ordering::SeqCst) == 0 {
            return Ok(0);
        }
        let nth = self.0.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.pass(nth, Side::Before);
        Ok(nth)
    }

    fn after(&self, nth: u64) {
        self.pass(nth, Side::After);
    }
}

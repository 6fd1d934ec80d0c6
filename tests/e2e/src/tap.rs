//! Faults on the wires between services: every call of one to another passes here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use harombe::compose::Wire;
use harombe_error::{Code, Failure, Reason};
use harombe_rpc::{GrpcChannel, Tap};
use harombe_types::ServiceName;
use tonic::Status;

/// Which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before it is sent.
    Before,
    /// When its answer has come, before the caller sees it.
    After,
}

/// Calls that repeat by the clock: counting them would make the count of a run depend on time.
const TIMED: [&str; 2] = ["RenewLease", "ClaimExpired"];

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
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
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

/// Cuts the wires to one service, while it is on.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Only the wire from this service, if it names one.
    from: Option<ServiceName>,
    to: ServiceName,
    on: Arc<AtomicBool>,
}

impl Cut {
    /// Not cut yet.
    #[must_use]
    pub fn to(to: ServiceName) -> Self {
        Self {
            from: None,
            to,
            on: Arc::default(),
        }
    }

    /// Of those wires only one service's.
    #[must_use]
    pub fn between(from: ServiceName, to: ServiceName) -> Self {
        Self {
            from: Some(from),
            ..Self::to(to)
        }
    }

    pub fn cut(&self) {
        self.on.store(true, Ordering::SeqCst);
    }

    pub fn mend(&self) {
        self.on.store(false, Ordering::SeqCst);
    }
}

impl Wire for Cut {
    fn connect(&self, from: ServiceName, to: ServiceName, channel: GrpcChannel) -> GrpcChannel {
        if to == self.to && self.from.is_none_or(|only| only == from) {
            channel.tapped(Arc::new(self.clone()))
        } else {
            channel
        }
    }
}

impl Tap for Cut {
    fn before(&self, _method: &str) -> Result<u64, Status> {
        if self.on.load(Ordering::SeqCst) {
            let failure = Failure::new(Code::Unavailable, Reason::Unavailable, "the wire is cut");
            return Err(failure.to_status());
        }
        Ok(0)
    }

    fn after(&self, _ticket: u64) {}
}

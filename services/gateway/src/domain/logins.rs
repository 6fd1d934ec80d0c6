//! Failed logins: how many one address may have before it is told to wait, and which of them are recorded.
//!
//! Nobody is locked out: a key that came through this gateway lately always gets its turn, and any other good key of a
//! busy address competes with its failures for a few places, not with their number.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use harombe_types::{Clock, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Failures are counted from the first one for this long.
const WINDOW: Duration = Duration::from_secs(60);
/// An origin that is turned away again this soon is not recorded again; what came meanwhile is counted (CONTRACTS §5).
const RECORD_EVERY: Duration = Duration::from_secs(10);
/// Records in that time, of all origins together.
const MOST_RECORDS: u32 = 64;
/// Origins remembered; those beyond share one window.
const REMEMBERED: usize = 4096;
/// Unproved keys of origins that are told to wait, looked up at the same time.
const LANES: usize = 2;

/// Where a login comes from, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// This process, or a unix socket; the peer's user id where it is known.
    Socket(Option<u32>),
    /// One address, or the first 64 bits of it, which is what one customer gets of IPv6.
    Address(IpAddr),
    /// Those for whom there was no room.
    Rest,
}

impl Origin {
    pub(crate) fn address(ip: IpAddr) -> Self {
        Self::Address(match ip.to_canonical() {
            IpAddr::V4(ip) => ip.into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Timestamp,
    failures: u32,
    recorded: Option<Timestamp>,
    /// Failures that no record has counted.
    unrecorded: u64,
}

#[derive(Debug, Default)]
struct Seen {
    windows: HashMap<Origin, Window>,
    records_since: Timestamp,
    records: u32,
}

/// What to do about one more failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// So many are to be told to the log now, this one included.
    pub(crate) record: Option<u64>,
    /// There were too many; when to try again.
    pub(crate) wait: Option<Duration>,
}

pub(crate) struct Logins {
    clock: Arc<dyn Clock>,
    per_minute: u32,
    seen: Mutex<Seen>,
    lanes: Arc<Semaphore>,
}

impl Logins {
    pub(crate) fn new(clock: Arc<dyn Clock>, per_minute: u32) -> Self {
        Self {
            clock,
            per_minute,
            seen: Mutex::default(),
            lanes: Arc::new(Semaphore::new(LANES)),
        }
    }

    /// How long an origin with too many failures has to wait; `None` for others.
    pub(crate) fn wait(&self, origin: Origin) -> Option<Duration> {
        let now = self.clock.now();
        let seen = self.seen.lock();
        let window = seen.windows.get(&origin).or_else(|| {
            let full = seen.windows.len() >= REMEMBERED;
            full.then(|| seen.windows.get(&Origin::Rest)).flatten()
        })?;
        self.over(window, now)
    }

    /// A place for a key that has not proved itself, of an origin that is told to wait.
    pub(crate) fn lane(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.lanes).try_acquire_owned().ok()
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, origin: Origin) -> Failed {
        let now = self.clock.now();
        let mut seen = self.seen.lock();
        let Seen {
            windows,
            records_since,
            records,
        } = &mut *seen;
        if windows.len() >= REMEMBERED && !windows.contains_key(&origin) {
            windows.retain(|_, window| !window.is_over(now));
        }
        let room = windows.len() < REMEMBERED || windows.contains_key(&origin);
        let origin = if room { origin } else { Origin::Rest };
        let window = windows.entry(origin).or_insert(Window::at(now));
        if window.is_over(now) {
            let unrecorded = window.unrecorded;
            *window = Window::at(now);
            window.unrecorded = unrecorded;
        }
        window.failures = window.failures.saturating_add(1);
        window.unrecorded = window.unrecorded.saturating_add(1);
        let wait = self.over(window, now);
        if !is_within(*records_since, now, RECORD_EVERY) {
            *records_since = now;
            *records = 0;
        }
        let recent = window.recorded.is_some_and(|at| is_within(at, now, RECORD_EVERY));
        let record = (!recent && *records < MOST_RECORDS).then(|| {
            *records += 1;
            window.recorded = Some(now);
            std::mem::take(&mut window.unrecorded)
        });
        Failed { record, wait }
    }

    fn over(&self, window: &Window, now: Timestamp) -> Option<Duration> {
        let over = !window.is_over(now) && window.failures >= self.per_minute;
        over.then(|| now.until(window.since.plus(WINDOW)))
    }
}

impl Window {
    fn at(now: Timestamp) -> Self {
        Self {
            since: now,
            failures: 0,
            recorded: None,
            unrecorded: 0,
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        !is_within(self.since, now, WINDOW)
    }
}

/// Whether `now` lies in the time that began `since`; a clock that was set back begins it anew.
fn is_within(since: Timestamp, now: Timestamp, within: Duration) -> bool {
    since <= now && now < since.plus(within)
}

#[cfg(test)]
mod tests;
